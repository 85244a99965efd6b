"""The law of ATC in numba: nogil kernels on plain arrays, with no knowledge of pandas, frameworks or caches."""
