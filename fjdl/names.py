"""Other names of public things: second names, names that have changed, and names that only other libraries have.

- `ALIASES`: a term of the field, or the name in PyTorch, Keras, optax or scikit-learn, of something that takes the same
  arguments by position. It is a plain second name of the same object, in `__all__` of its room.
- `RENAMED`: the old name works and warns until the version that stands beside it. It is in no `__all__`.
- `ELSEWHERE`: the name in another library of something that takes other arguments here, such as `Linear(inputs,
  outputs)`. It does not work; the error names what does.

`docs/names.md` lists all three. Keys are rooms; values are names in the same room, or dotted ones.
"""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

ALIASES: dict[str, dict[str, str]] = {
    "fjdl.functional": {
        "adaptive_avg_pool1d": "adaptive_average_pool1d", "adaptive_avg_pool2d": "adaptive_average_pool2d",
        "adaptive_avg_pool3d": "adaptive_average_pool3d", "avg_pool1d": "average_pool1d",
        "avg_pool2d": "average_pool2d", "avg_pool3d": "average_pool3d", "cdist": "euclidean_distances",
        "drop_path": "stochastic_depth", "dropout2d": "spatial_dropout", "hard_silu": "hard_swish",
        "hardsigmoid": "hard_sigmoid", "hardswish": "hard_swish", "hardtanh": "hard_tanh", "logsigmoid": "log_sigmoid",
        "pixel_shuffle": "depth_to_space", "pixel_unshuffle": "space_to_depth",
    },
    "fjdl.functional.initializers": {
        "kaiming_normal": "he_normal", "kaiming_uniform": "he_uniform", "xavier_normal": "glorot_normal",
        "xavier_uniform": "glorot_uniform",
    },
    "fjdl.losses": {
        "binary_cross_entropy_with_logits": "sigmoid_cross_entropy", "cross_entropy": "softmax_cross_entropy",
        "l1_loss": "mae_loss", "sigmoid_binary_cross_entropy": "sigmoid_cross_entropy",
        "softmax_cross_entropy_with_integer_labels": "softmax_cross_entropy",
    },
    "fjdl.metrics": {
        "cer": "character_error_rate", "jaccard_index": "jaccard", "negative_predictive_value": "npv",
        "pearson_corrcoef": "pearson", "positive_predictive_value": "precision", "ppv": "precision",
        "sensitivity": "recall", "true_negative_rate": "specificity", "true_positive_rate": "recall",
        "wer": "word_error_rate",
    },
    "fjdl.nn": {
        "AdaptiveAveragePool2D": "AdaptiveAveragePool", "Conv2D": "Conv", "functional": "pure",
    },
    "fjdl.boxes": {
        "batched_nms": "nms", "box_area": "area", "box_iou": "pairwise_iou", "complete_box_iou": "pairwise_ciou",
        "distance_box_iou": "pairwise_diou", "generalized_box_iou": "pairwise_giou", "non_max_suppression": "nms",
    },
    "fjdl.augment": {
        "adjust_brightness": "brightness", "adjust_contrast": "contrast", "adjust_gamma": "gamma", "adjust_hue": "hue",
        "adjust_saturation": "saturation", "adjust_sharpness": "sharpness", "center_crop": "centre_crop",
        "center_crop_sample": "centre_crop_sample", "color_jitter": "random_color_jitter", "horizontal_flip": "mirror",
        "horizontal_flip_sample": "mirror_sample", "random_horizontal_flip": "random_mirror",
        "random_horizontal_flip_sample": "random_mirror_sample", "random_rotation": "random_rotate",
        "random_vertical_flip": "random_flip_vertical", "random_vertical_flip_sample": "random_flip_vertical_sample",
        "trivial_augment_wide": "trivial_augment", "vertical_flip": "flip_vertical",
        "vertical_flip_sample": "flip_vertical_sample",
    },
    "fjdl.optim": {
        "adaptive_grad_clip": "adaptive_clip", "centered_rmsprop": "centred_rmsprop",
        "scale_by_centered_rms": "scale_by_centred_rms",
    },
}  # fmt: skip

RENAMED: dict[str, dict[str, str]] = {
    "fjdl.losses": {
        "box_l2": "box_l2_loss", "crammer_singer": "crammer_singer_loss", "generalized_kl": "generalized_kl_divergence",
        "hinge": "hinge_loss", "huber": "huber_loss", "log_cosh": "log_cosh_loss", "mae": "mae_loss",
        "mape": "mape_loss", "mse": "mse_loss", "msle": "msle_loss", "multi_margin": "multi_margin_loss",
        "poisson": "poisson_nll_loss", "quantile": "quantile_loss", "sigmoid_focal": "sigmoid_focal_loss",
        "skipgram_negative_sampling": "skipgram_negative_sampling_loss", "smooth_l1": "smooth_l1_loss",
        "softmax_focal": "softmax_focal_loss", "squared_hinge": "squared_hinge_loss", "total": "weighted_sum",
    },
    "fjdl.metrics": {
        "moments": "mean_and_covariance",
    },
    "fjdl.data.stream": {
        "stream": "fjdl.data.loading.load_batches", "stream_in_order": "fjdl.data.loading.load_batches_in_order",
        "to_device": "fjdl.data.loading.to_device",
    },
}  # fmt: skip
GONE_IN = "0.3"  # the version without the old names above

ELSEWHERE: dict[str, dict[str, str]] = {
    "fjdl.functional": {
        "MultiScaleRoIAlign": "pyramid_roi_align", "dropout1d": "spatial_dropout", "dropout3d": "spatial_dropout",
        "fold": "col2im", "interpolate": "resize2d",
        "pairwise_distance": "euclidean_distance", "scaled_dot_product_attention": "dot_product_attention",
        "to_categorical": "one_hot", "unfold": "im2col", "upsample": "resize2d",
    },
    "fjdl.functional.initializers": {
        "eye": "identity", "glorot": "glorot_uniform", "kaiming_normal_": "he_normal", "kaiming_uniform_": "he_uniform",
        "trunc_normal_": "truncated_normal", "xavier_normal_": "glorot_normal", "xavier_uniform_": "glorot_uniform",
    },
    "fjdl.losses": {
        "BCELoss": "binary_cross_entropy", "BCEWithLogitsLoss": "sigmoid_cross_entropy", "CTCLoss": "ctc_loss",
        "CrossEntropyLoss": "softmax_cross_entropy", "HuberLoss": "huber_loss",
        "KLDivLoss": "kl_divergence_with_logits", "L1Loss": "mae_loss", "MSELoss": "mse_loss",
        "NLLLoss": "softmax_cross_entropy", "SmoothL1Loss": "smooth_l1_loss",
        "TripletMarginLoss": "triplet_margin_loss", "convex_kl_divergence": "generalized_kl_divergence",
        "focal_loss": "sigmoid_focal_loss", "info_nce": "nt_xent_loss", "kl_div": "kl_divergence_with_logits",
        "l2_loss": "mse_loss", "mean_absolute_error": "mae_loss", "mean_squared_error": "mse_loss",
        "nll_loss": "softmax_cross_entropy", "ntxent": "nt_xent_loss", "pinball_loss": "quantile_loss",
        "poly_loss_cross_entropy": "poly_loss", "squared_error": "mse_loss",
    },
    "fjdl.metrics": {
        "AccuracyCalculator": "embedding_retrieval", "COCOeval": "coco_evaluation",
        "HausdorffDistance": "hausdorff_distance", "MeanAveragePrecision": "coco_detection",
        "RetrievalMAP": "neighbour_retrieval", "RetrievalMRR": "neighbour_retrieval", "VOCevaldet": "voc_evaluation",
        "bleu_score": "bleu", "cmc": "embedding_retrieval", "covariance": "mean_and_covariance",
        "dice": "dice_coefficient", "f_boundary": "boundary_f_score", "hd": "hausdorff_distance",
        "hd95": "hausdorff_distance", "mean_average_precision": "coco_detection",
        "mean_average_precision_at_r": "embedding_retrieval", "pq_compute": "panoptic_quality",
        "precision_at_k": "embedding_retrieval", "recall_at_k": "embedding_retrieval",
        "retrieval_precision": "neighbour_retrieval", "retrieval_r_precision": "neighbour_retrieval",
        "retrieval_recall": "neighbour_retrieval", "retrieval_reciprocal_rank": "neighbour_retrieval",
        "structural_similarity_index_measure": "structural_similarity", "voc_eval": "voc_evaluation",
    },
    "fjdl.nn": {
        "AdaptiveAvgPool1d": "AdaptiveAveragePool1D", "AdaptiveAvgPool2d": "AdaptiveAveragePool",
        "AdaptiveAvgPool3d": "AdaptiveAveragePool3D", "AveragePooling2D": "AveragePool", "AvgPool2d": "AveragePool",
        "BatchNorm1d": "BatchNorm", "BatchNorm2d": "BatchNorm", "BatchNorm3d": "BatchNorm",
        "BatchNormalization": "BatchNorm", "Conv1d": "Conv1D", "Conv2DTranspose": "ConvTranspose", "Conv2d": "Conv",
        "Conv3d": "Conv3D", "ConvTranspose2d": "ConvTranspose", "DepthwiseConv2D": "DepthwiseConv",
        "DropPath": "StochasticDepth", "Dropout2d": "SpatialDropout", "Embed": "Embedding",
        "GlobalAveragePooling2D": "GlobalAveragePool", "InstanceNorm2d": "InstanceNorm",
        "LayerNormalization": "LayerNorm", "Linear": "Dense", "MaxPool2d": "MaxPool", "MaxPooling2D": "MaxPool",
        "MultiheadAttention": "MultiHeadAttention", "SeparableConv2D": "SeparableConv",
        "SpatialDropout2D": "SpatialDropout", "TransformerDecoderLayer": "TransformerDecoderBlock",
        "TransformerEncoderLayer": "TransformerEncoderBlock",
    },
    "fjdl.boxes": {
        "AnchorGenerator": "pyramid_anchors", "BoxCoder": "encode", "DefaultBoxGenerator": "ssd_shapes",
        "LevelMapper": "pyramid_levels", "Matcher": "match_by_threshold", "box_convert": "from_center_size",
        "clip_boxes_to_image": "clip_to_image", "linear_sum_assignment": "assign",
        "masks_to_boxes": "mask_boxes", "remove_small_boxes": "large_boxes",
        "roi_align": "fjdl.functional.roi_align", "roi_pool": "fjdl.functional.roi_pool",
        "soft_nms": "soft_nms_gaussian",
    },
    "fjdl.augment": {
        "CenterCrop": "centre_crop", "ColorJitter": "random_color_jitter", "Compose": "sequence",
        "Normalize": "fjdl.functional.preprocessing.standardize", "RandAugment": "rand_augment",
        "RandomAffine": "random_affine", "RandomApply": "apply_with_probability", "RandomChoice": "choose_one",
        "RandomCrop": "random_crop", "RandomErasing": "random_erasing", "RandomHorizontalFlip": "random_mirror",
        "RandomResizedCrop": "random_resized_crop", "RandomRotation": "random_rotate",
        "RandomVerticalFlip": "random_flip_vertical", "Resize": "fjdl.functional.resize2d",
        "ToTensor": "fjdl.functional.preprocessing.scale_pixels", "TrivialAugmentWide": "trivial_augment",
        "elastic_transform": "elastic", "flip_horizontal": "mirror", "hflip": "mirror", "rgb_to_grayscale": "grayscale",
        "vflip": "flip_vertical",
    },
    "fjdl.schedules": {
        "ConstantLR": "constant", "CosineAnnealingLR": "cosine", "CosineAnnealingWarmRestarts": "cosine_restarts",
        "CosineDecay": "cosine", "CosineDecayRestarts": "cosine_restarts", "CyclicLR": "cyclic",
        "ExponentialDecay": "geometric", "ExponentialLR": "step_decay", "InverseTimeDecay": "inverse_time",
        "LinearLR": "linear", "MultiStepLR": "piecewise_constant", "OneCycleLR": "one_cycle",
        "PiecewiseConstantDecay": "piecewise_constant", "PolynomialDecay": "polynomial", "PolynomialLR": "polynomial",
        "ReduceLROnPlateau": "fjdl.optim.reduce_on_plateau", "StepLR": "step_decay", "constant_schedule": "constant",
        "cosine_decay": "cosine", "cosine_decay_schedule": "cosine", "cosine_onecycle_schedule": "one_cycle",
        "exponential_decay": "geometric", "join_schedules": "join", "linear_schedule": "linear",
        "piecewise_constant_schedule": "piecewise_constant", "polynomial_schedule": "polynomial",
        "sgdr_schedule": "cosine_restarts", "warmup_cosine_decay_schedule": "warmup_cosine",
    },
    "fjdl.optim": {
        "Adam": "adam", "AdamW": "adamw", "Adagrad": "adagrad", "MultiSteps": "accumulate_gradients",
        "RMSprop": "rmsprop", "ReduceLROnPlateau": "reduce_on_plateau", "SGD": "sgd",
        "apply_if_finite": "skip_non_finite", "clip_grad_norm_": "clip_by_global_norm",
        "clip_grad_value_": "clip_by_value", "multi_transform": "partition",
        "per_example_global_norm_clip": "per_example_clip", "scale_by_stddev": "scale_by_centred_rms",
    },
    "fjdl.data": {
        "DataLoader": "fjdl.data.loading.load_batches",
    },
}  # fmt: skip


def other_names(room: str) -> Callable[[str], Any]:
    """`__getattr__` of a room: what a name of `RENAMED` stands for, with a `DeprecationWarning`, or `AttributeError`.

    A name of `ELSEWHERE` is answered with the name here. Type checkers should not see it, or they find no typing error
    in a name: bind it under `if not TYPE_CHECKING`.
    """

    def attribute(name: str) -> Any:
        if name in RENAMED.get(room, {}):
            new = _dotted(room, RENAMED[room][name])
            sentence = f"{room}.{name} is now {new}; the old name goes in fjdl {GONE_IN}"
            warnings.warn(sentence, DeprecationWarning, stacklevel=2)
            home, _, last = new.rpartition(".")
            return getattr(importlib.import_module(home), last)
        hint = ELSEWHERE.get(room, {}).get(name)
        rest = f"; its name here is {_dotted(room, hint)}, with arguments of its own" if hint else ""
        raise AttributeError(f"module {room!r} has no attribute {name!r}{rest}", name=name)

    return attribute


def _dotted(room: str, name: str) -> str:
    return name if "." in name else f"{room}.{name}"
