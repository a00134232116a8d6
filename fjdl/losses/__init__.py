"""Losses: values per example in float32, and one place where they are reduced, `reduce`.

A loss is a function of predictions and targets, options by name. Penalties of parameter trees are functions of the
module `penalties`. May import floor 0 and `fjdl.boxes`.

>>> from fjdl import losses
>>> logits, labels = jnp.array([[2.0, 0.0], [0.0, 0.0]]), jnp.array([0, 1])
>>> values = losses.softmax_cross_entropy(logits, labels)
>>> values
Array([0.12692805, 0.6931472 ], dtype=float32)
>>> losses.mean(values, mask=jnp.array([True, False]))
Array(0.12692805, dtype=float32)
"""

from fjdl.losses import penalties
from fjdl.losses.boxes import box_l2, ciou_loss, diou_loss, giou_loss, iou_loss, localization_loss, log_iou_loss
from fjdl.losses.classification import sigmoid_cross_entropy, soft_cross_entropy, softmax_cross_entropy
from fjdl.losses.contrastive import contrastive_loss, has_positive, nt_xent_loss, supervised_contrastive_loss
from fjdl.losses.ctc import ctc_loss
from fjdl.losses.divergence import (
    entropy,
    generalized_kl,
    js_divergence,
    kl_divergence,
    kl_divergence_with_logits,
)
from fjdl.losses.embedding import glove_loss, skipgram_negative_sampling
from fjdl.losses.focal import sigmoid_focal, softmax_focal
from fjdl.losses.margin import crammer_singer, hinge, multi_margin, squared_hinge
from fjdl.losses.poly import poly_loss
from fjdl.losses.probabilities import (
    binary_cross_entropy,
    categorical_cross_entropy,
    sparse_categorical_cross_entropy,
)
from fjdl.losses.reduce import mean, total
from fjdl.losses.regression import huber, log_cosh, mae, mape, mse, msle, poisson, quantile, smooth_l1
from fjdl.losses.segmentation import dice_loss, focal_tversky_loss, jaccard_loss, tversky_loss
from fjdl.losses.sequence import sequence_loss
from fjdl.losses.sparsemax import sparsemax_loss
from fjdl.losses.triplet import Triplets, hard_triplets, semi_hard_triplets, triplet_margin_loss
from fjdl.losses.weights import class_weights, example_weights

__all__ = [
    "Triplets", "binary_cross_entropy", "box_l2", "categorical_cross_entropy", "ciou_loss", "class_weights",
    "contrastive_loss", "crammer_singer", "ctc_loss", "dice_loss", "diou_loss", "entropy", "example_weights",
    "focal_tversky_loss", "generalized_kl", "giou_loss", "glove_loss", "hard_triplets", "has_positive", "hinge",
    "huber", "iou_loss", "jaccard_loss", "js_divergence", "kl_divergence", "kl_divergence_with_logits",
    "localization_loss", "log_cosh", "log_iou_loss", "mae", "mape", "mean", "mse", "msle", "multi_margin",
    "nt_xent_loss", "penalties", "poisson", "poly_loss", "quantile", "semi_hard_triplets", "sequence_loss",
    "sigmoid_cross_entropy", "sigmoid_focal", "skipgram_negative_sampling", "smooth_l1", "soft_cross_entropy",
    "softmax_cross_entropy", "softmax_focal", "sparse_categorical_cross_entropy", "sparsemax_loss", "squared_hinge",
    "supervised_contrastive_loss", "total", "triplet_margin_loss", "tversky_loss",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
