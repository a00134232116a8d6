"""The forms of a run that `experiments.quantize` compares: small kernels, networks of integers, and their figure."""
