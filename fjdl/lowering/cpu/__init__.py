"""Convolutions and matrix products in the forms that XLA:CPU runs fast."""
