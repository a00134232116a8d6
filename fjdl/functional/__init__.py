"""Layer mathematics: pure functions from arrays, parameters among them, to arrays.

Initial values stand in `initializers`; fitted transforms of data in `scaling` and `whitening`, labels and features as
vectors in `encoding`, pixels in `preprocessing`.
"""

from fjdl.functional import encoding, initializers, preprocessing, scaling, whitening
from fjdl.functional.activations import (
    erf,
    identity,
    log_sigmoid,
    log_softmax,
    relu,
    sigmoid,
    softmax,
    softplus,
    softsign,
    tanh,
    tanhshrink,
)
from fjdl.functional.batch_norm import Moments, batch_norm, batch_norm_inference, running_moments
from fjdl.functional.conv import conv2d
from fjdl.functional.dropout import (
    classic_dropout,
    classic_dropout_inference,
    dropout,
    dropout_expectation,
    dropout_masks,
    spatial_dropout,
    stochastic_depth,
)
from fjdl.functional.encoding import flatten, multi_hot, one_hot, polynomial_features
from fjdl.functional.gates import gelu, gelu_tanh, glu, mish, silu, swish
from fjdl.functional.layer_norm import group_norm, instance_norm, layer_norm, rms_norm
from fjdl.functional.linear import linear
from fjdl.functional.local_response import local_response_norm
from fjdl.functional.noise import drop_connect, gaussian_dropout, gaussian_noise
from fjdl.functional.pool import average_pool2d, max_pool2d
from fjdl.functional.rectifiers import (
    celu,
    elu,
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    hardshrink,
    leaky_relu,
    maxout,
    prelu,
    relu6,
    selu,
    softshrink,
)
from fjdl.functional.similarity import cosine_similarities, cosine_similarity, euclidean_distance, euclidean_distances

__all__ = [
    "Moments", "average_pool2d", "batch_norm", "batch_norm_inference", "celu", "classic_dropout",
    "classic_dropout_inference", "conv2d", "cosine_similarities", "cosine_similarity", "drop_connect", "dropout",
    "dropout_expectation", "dropout_masks", "elu", "encoding", "erf", "euclidean_distance", "euclidean_distances",
    "flatten", "gaussian_dropout", "gaussian_noise", "gelu", "gelu_tanh", "glu", "group_norm", "hard_sigmoid",
    "hard_swish", "hard_tanh", "hardshrink", "identity", "initializers", "instance_norm", "layer_norm",
    "leaky_relu", "linear", "local_response_norm", "log_sigmoid", "log_softmax", "max_pool2d", "maxout", "mish",
    "multi_hot", "one_hot", "polynomial_features", "prelu", "preprocessing", "relu", "relu6", "rms_norm",
    "running_moments", "scaling", "selu", "sigmoid", "silu", "softmax", "softplus", "softshrink", "softsign",
    "spatial_dropout", "stochastic_depth", "swish", "tanh", "tanhshrink", "whitening",
]  # fmt: skip
