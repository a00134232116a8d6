"""Losses: values per example in float32, and one place where they are reduced, `reduce`.

A loss is a function of predictions and targets, options by name. Its name ends in `_loss`, unless it is an entropy or
a divergence: `mse_loss`, but `softmax_cross_entropy`. Second names, such as `cross_entropy`, stand in `fjdl.names`.
Penalties of parameter trees are functions of the module `penalties`. May import floor 0, `fjdl.boxes` and
`fjdl.lowering`.

>>> from fjdl import losses
>>> logits, labels = jnp.array([[2.0, 0.0], [0.0, 0.0]]), jnp.array([0, 1])
>>> values = losses.softmax_cross_entropy(logits, labels)
>>> values
Array([0.12692805, 0.6931472 ], dtype=float32)
>>> losses.mean(values, mask=jnp.array([True, False]))
Array(0.12692805, dtype=float32)
"""

from typing import TYPE_CHECKING

from fjdl.losses import penalties
from fjdl.losses.adaptive import adaptive_log_probabilities, adaptive_softmax_loss
from fjdl.losses.boxes import box_l2_loss, ciou_loss, diou_loss, giou_loss, iou_loss, localization_loss, log_iou_loss
from fjdl.losses.classification import sigmoid_cross_entropy, soft_cross_entropy, softmax_cross_entropy
from fjdl.losses.contrastive import contrastive_loss, has_positive, nt_xent_loss, supervised_contrastive_loss
from fjdl.losses.ctc import ctc_loss
from fjdl.losses.divergence import (
    entropy,
    generalized_kl_divergence,
    js_divergence,
    kl_divergence,
    kl_divergence_with_logits,
)
from fjdl.losses.embedding import cbow_negative_sampling_loss, glove_loss, skipgram_negative_sampling_loss
from fjdl.losses.focal import sigmoid_focal_loss, softmax_focal_loss
from fjdl.losses.margin import crammer_singer_loss, hinge_loss, multi_margin_loss, squared_hinge_loss
from fjdl.losses.poly import poly_loss
from fjdl.losses.probabilities import (
    binary_cross_entropy,
    categorical_cross_entropy,
    sparse_categorical_cross_entropy,
)
from fjdl.losses.reduce import mean, weighted_sum
from fjdl.losses.regression import (
    huber_loss,
    log_cosh_loss,
    mae_loss,
    mape_loss,
    mse_loss,
    msle_loss,
    poisson_nll_loss,
    quantile_loss,
    smooth_l1_loss,
)
from fjdl.losses.segmentation import dice_loss, focal_tversky_loss, jaccard_loss, tversky_loss
from fjdl.losses.sequence import sequence_loss
from fjdl.losses.sparsemax import sparsemax_loss
from fjdl.losses.triplet import Triplets, hard_triplets, semi_hard_triplets, triplet_margin_loss
from fjdl.losses.weights import class_weights, example_weights
from fjdl.names import other_names

# second names, see `fjdl.names`
binary_cross_entropy_with_logits = sigmoid_cross_entropy
cross_entropy = softmax_cross_entropy
l1_loss = mae_loss
sigmoid_binary_cross_entropy = sigmoid_cross_entropy
softmax_cross_entropy_with_integer_labels = softmax_cross_entropy

__all__ = [
    "Triplets", "adaptive_log_probabilities", "adaptive_softmax_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "box_l2_loss", "categorical_cross_entropy", "cbow_negative_sampling_loss",
    "ciou_loss", "class_weights", "contrastive_loss", "crammer_singer_loss", "cross_entropy", "ctc_loss", "dice_loss",
    "diou_loss", "entropy", "example_weights", "focal_tversky_loss", "generalized_kl_divergence", "giou_loss",
    "glove_loss", "hard_triplets", "has_positive", "hinge_loss", "huber_loss", "iou_loss", "jaccard_loss",
    "js_divergence", "kl_divergence", "kl_divergence_with_logits", "l1_loss", "localization_loss", "log_cosh_loss",
    "log_iou_loss", "mae_loss", "mape_loss", "mean", "mse_loss", "msle_loss", "multi_margin_loss", "nt_xent_loss",
    "penalties", "poisson_nll_loss", "poly_loss", "quantile_loss", "semi_hard_triplets", "sequence_loss",
    "sigmoid_binary_cross_entropy", "sigmoid_cross_entropy", "sigmoid_focal_loss", "skipgram_negative_sampling_loss",
    "smooth_l1_loss", "soft_cross_entropy", "softmax_cross_entropy", "softmax_cross_entropy_with_integer_labels",
    "softmax_focal_loss", "sparse_categorical_cross_entropy", "sparsemax_loss", "squared_hinge_loss",
    "supervised_contrastive_loss", "triplet_margin_loss", "tversky_loss", "weighted_sum",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
