"""Architectures, one a file; a variant is a row of numbers."""

from fjdl.models.lenet import LeNet5, lenet5_layers
from fjdl.models.linear import LogisticRegression, logistic_regression_layers
from fjdl.models.mlp import MLP, mlp_layers

__all__ = [
    "MLP", "LeNet5", "LogisticRegression", "lenet5_layers", "logistic_regression_layers", "mlp_layers",
]  # fmt: skip
