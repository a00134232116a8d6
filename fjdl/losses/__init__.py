"""Losses: values per example in float32, and one place where they are reduced."""

from fjdl.losses.classification import sigmoid_cross_entropy, soft_cross_entropy, softmax_cross_entropy
from fjdl.losses.reduce import mean, total
from fjdl.losses.regression import mse

__all__ = ["mean", "mse", "sigmoid_cross_entropy", "soft_cross_entropy", "softmax_cross_entropy", "total"]
