"""The GPU: the law's kernels on CUDA devices through CuPy, which is imported when it is asked for and not before."""

from .devices import available as available
from .devices import why_not as why_not
