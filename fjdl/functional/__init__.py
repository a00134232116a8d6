"""Layer mathematics: pure functions from arrays, parameters among them, to arrays."""

from fjdl.functional import initializers
from fjdl.functional.activations import identity, log_softmax, relu, sigmoid, softmax, tanh
from fjdl.functional.conv import conv2d
from fjdl.functional.dropout import dropout
from fjdl.functional.linear import linear
from fjdl.functional.pool import average_pool2d, max_pool2d

__all__ = [
    "average_pool2d", "conv2d", "dropout", "identity", "initializers", "linear", "log_softmax", "max_pool2d", "relu",
    "sigmoid", "softmax", "tanh",
]  # fmt: skip
