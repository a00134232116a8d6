"""Machines for a training, by the tools that clouds have for it: the parts of `experiments.tpu` that print commands.

A `Job` says what is wanted. Each control plane is a file of pure functions from a job to commands, `planes` has them by
name, and `runner` prints commands or runs them. Nothing here imports JAX but `plan`, which looks at the config.
"""
