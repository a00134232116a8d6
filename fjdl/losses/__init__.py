"""Losses: values per example in float32, and one place where they are reduced.

Penalties of parameter trees are functions of the module `penalties`.
"""

from fjdl.losses import penalties
from fjdl.losses.classification import sigmoid_cross_entropy, soft_cross_entropy, softmax_cross_entropy
from fjdl.losses.divergence import entropy, js_divergence, kl_divergence
from fjdl.losses.focal import sigmoid_focal, softmax_focal
from fjdl.losses.hinge import crammer_singer, hinge, multi_margin, squared_hinge
from fjdl.losses.probabilities import (
    binary_cross_entropy,
    categorical_cross_entropy,
    sparse_categorical_cross_entropy,
)
from fjdl.losses.reduce import mean, total
from fjdl.losses.regression import huber, log_cosh, mae, mse, poisson, quantile, smooth_l1
from fjdl.losses.weights import class_weights, example_weights

__all__ = [
    "binary_cross_entropy", "categorical_cross_entropy", "class_weights", "crammer_singer", "entropy",
    "example_weights", "hinge", "huber", "js_divergence", "kl_divergence", "log_cosh", "mae", "mean", "mse",
    "multi_margin", "penalties", "poisson", "quantile", "sigmoid_cross_entropy", "sigmoid_focal", "smooth_l1",
    "soft_cross_entropy", "softmax_cross_entropy", "softmax_focal", "sparse_categorical_cross_entropy",
    "squared_hinge", "total",
]  # fmt: skip
