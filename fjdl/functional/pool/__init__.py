"""Pooling over windows of a given size, to a given size, by norms, with its inverses."""
