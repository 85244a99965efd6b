"""The law of ATC in numba: nogil kernels on plain arrays, with no knowledge of pandas, frameworks or caches."""

VERSION = "1"
"""Changes whenever the law gives other bits, so that results of another law are never served."""
