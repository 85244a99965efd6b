"""What a portfolio may hold."""

BOTH, LONG_ONLY, SHORT_ONLY = 0, 1, 2
"""`mode` of the kernels; in this order vectorbt's "both", "longonly" and "shortonly"."""
