"""Sweeps: every combination of a parameter grid, judged as vectorbt would judge it."""
