"""Data sets as pairs of pure functions: formats, verified downloads, splits, and batches by step."""
