"""Layer mathematics: pure functions from arrays, parameters among them, to arrays.

Initial values stand in `initializers`; fitted transforms of data in `scaling` and `whitening`, labels and features as
vectors in `encoding`, pixels in `preprocessing`, kernels that find edges in `filters`. Convolutions have a room of
their own, `conv`, and pooling has `pool`. How a platform computes a formula belongs in `fjdl.lowering`. Names of other
libraries, such as `avg_pool2d`, are second names of the same functions, see `fjdl.names`. May import floor 0,
`fjdl.boxes` and `fjdl.lowering`.

>>> from fjdl.functional import conv2d, linear, max_pool2d, relu
>>> images, kernel = jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 2))
>>> features = max_pool2d(relu(conv2d(images, kernel, padding="SAME")), window=2)
>>> features[0, :, :, 0]
Array([[9., 9.],
       [9., 9.]], dtype=float32)
>>> linear(features.reshape(1, -1), jnp.ones((8, 3))).shape
(1, 3)
"""

from typing import TYPE_CHECKING

from fjdl.functional import encoding, filters, initializers, preprocessing, scaling, whitening
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
    sparsemax,
    tanh,
    tanhshrink,
)
from fjdl.functional.attention import (
    causal_mask,
    dot_product_attention,
    dot_product_weights,
    dropout_attention,
)
from fjdl.functional.attention_cache import KeyValues, cached_attention, write_step
from fjdl.functional.attention_scores import (
    additive_attention,
    additive_scores,
    attention_weights,
    concat_attention,
    concat_scores,
    dot_attention,
    dot_scores,
    general_attention,
    general_scores,
    tanh_attention,
    tanh_scores,
)
from fjdl.functional.batch_norm import (
    Moments,
    batch_norm,
    batch_norm_inference,
    batch_norm_of_product,
    running_moments,
)
from fjdl.functional.conv.algorithms import conv2d_fft, conv2d_im2col
from fjdl.functional.conv.conv1d import conv1d
from fjdl.functional.conv.conv2d import conv2d
from fjdl.functional.conv.conv3d import conv3d
from fjdl.functional.conv.dense import conv_to_dense, dense_to_conv
from fjdl.functional.conv.gradients import conv2d_input_gradient, conv2d_kernel_gradient
from fjdl.functional.conv.local import locally_connected2d
from fjdl.functional.conv.separable import (
    depthwise_conv2d,
    pointwise_conv2d,
    separable_conv2d,
    spatially_separable_conv2d,
)
from fjdl.functional.conv.transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d
from fjdl.functional.conv.unfold import col2im, im2col
from fjdl.functional.dropout import (
    classic_dropout,
    classic_dropout_inference,
    dropout,
    dropout_expectation,
    dropout_masks,
    spatial_dropout,
    stochastic_depth,
)
from fjdl.functional.embedding import (
    adaptive_embedding,
    embedding,
    embedding_bag,
    embedding_dropout,
    tied_logits,
    word_dropout,
)
from fjdl.functional.encoding import flatten, multi_hot, one_hot, polynomial_features
from fjdl.functional.gates import gelu, gelu_tanh, glu, mish, silu, swish
from fjdl.functional.layer_norm import group_norm, instance_norm, layer_norm, rms_norm
from fjdl.functional.linear import linear
from fjdl.functional.local_response import local_response_norm
from fjdl.functional.neighbours import Neighbours, most_similar, nearest_neighbours
from fjdl.functional.noise import drop_connect, gaussian_dropout, gaussian_noise
from fjdl.functional.pool.adaptive import (
    adaptive_average_pool1d,
    adaptive_average_pool2d,
    adaptive_average_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    spatial_pyramid_pool2d,
)
from fjdl.functional.pool.fixed import (
    average_pool1d,
    average_pool2d,
    average_pool3d,
    global_average_pool2d,
    global_max_pool2d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from fjdl.functional.pool.norm import lp_pool2d
from fjdl.functional.pool.roi import pyramid_roi_align, roi_align, roi_pool
from fjdl.functional.pool.time import max_over_time, mean_over_time, weighted_over_time
from fjdl.functional.pool.unpool import (
    average_unpool2d,
    max_pool2d_with_indices,
    max_unpool2d,
    nearest_unpool2d,
)
from fjdl.functional.position import rotary_halves, rotary_interleaved, sinusoidal_positions
from fjdl.functional.rearrange import channel_shuffle, depth_to_space, space_to_depth
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
from fjdl.functional.recurrent.cudnn import cudnn_lstm
from fjdl.functional.recurrent.elman import rnn, rnn_cell
from fjdl.functional.recurrent.gru import cho_gru, cho_gru_cell, gru, gru_cell, simple_gru, simple_gru_cell
from fjdl.functional.recurrent.lstm import layer_norm_lstm, layer_norm_lstm_cell, lstm, lstm_cell
from fjdl.functional.resize import resize2d
from fjdl.functional.similarity import cosine_similarities, cosine_similarity, euclidean_distance, euclidean_distances
from fjdl.lengths import length_mask
from fjdl.names import other_names

# second names, see `fjdl.names`
adaptive_avg_pool1d = adaptive_average_pool1d
adaptive_avg_pool2d = adaptive_average_pool2d
adaptive_avg_pool3d = adaptive_average_pool3d
avg_pool1d = average_pool1d
avg_pool2d = average_pool2d
avg_pool3d = average_pool3d
cdist = euclidean_distances
drop_path = stochastic_depth
dropout2d = spatial_dropout
hard_silu = hard_swish
hardsigmoid = hard_sigmoid
hardswish = hard_swish
hardtanh = hard_tanh
logsigmoid = log_sigmoid
pixel_shuffle = depth_to_space
pixel_unshuffle = space_to_depth

__all__ = [
    "KeyValues", "Moments", "Neighbours", "adaptive_average_pool1d", "adaptive_average_pool2d",
    "adaptive_average_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "adaptive_embedding", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "additive_attention",
    "additive_scores", "attention_weights", "average_pool1d", "average_pool2d", "average_pool3d", "average_unpool2d",
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "batch_norm", "batch_norm_inference", "batch_norm_of_product",
    "cached_attention", "causal_mask", "cdist", "celu", "channel_shuffle", "cho_gru", "cho_gru_cell", "classic_dropout",
    "classic_dropout_inference", "col2im", "concat_attention", "concat_scores", "conv1d", "conv2d", "conv2d_fft",
    "conv2d_im2col", "conv2d_input_gradient", "conv2d_kernel_gradient", "conv3d", "conv_to_dense", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "cosine_similarities", "cosine_similarity", "cudnn_lstm", "dense_to_conv",
    "depth_to_space", "depthwise_conv2d", "dot_attention", "dot_product_attention", "dot_product_weights", "dot_scores",
    "drop_connect", "drop_path", "dropout", "dropout2d", "dropout_attention", "dropout_expectation", "dropout_masks",
    "elu", "embedding", "embedding_bag", "embedding_dropout", "encoding", "erf", "euclidean_distance",
    "euclidean_distances", "filters", "flatten", "gaussian_dropout", "gaussian_noise", "gelu", "gelu_tanh",
    "general_attention", "general_scores", "global_average_pool2d", "global_max_pool2d", "glu", "group_norm", "gru",
    "gru_cell", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "hardshrink", "hardsigmoid", "hardswish",
    "hardtanh", "identity", "im2col", "initializers", "instance_norm", "layer_norm", "layer_norm_lstm",
    "layer_norm_lstm_cell", "leaky_relu", "length_mask", "linear", "local_response_norm", "locally_connected2d",
    "log_sigmoid", "log_softmax", "logsigmoid", "lp_pool2d", "lstm", "lstm_cell", "max_over_time", "max_pool1d",
    "max_pool2d", "max_pool2d_with_indices", "max_pool3d", "max_unpool2d", "maxout", "mean_over_time", "mish",
    "most_similar", "multi_hot", "nearest_neighbours", "nearest_unpool2d", "one_hot", "pixel_shuffle",
    "pixel_unshuffle", "pointwise_conv2d", "polynomial_features", "prelu", "preprocessing", "pyramid_roi_align", "relu",
    "relu6", "resize2d", "rms_norm", "rnn", "rnn_cell", "roi_align", "roi_pool", "rotary_halves", "rotary_interleaved",
    "running_moments", "scaling", "selu", "separable_conv2d", "sigmoid", "silu", "simple_gru", "simple_gru_cell",
    "sinusoidal_positions", "softmax", "softplus", "softshrink", "softsign", "space_to_depth", "sparsemax",
    "spatial_dropout", "spatial_pyramid_pool2d", "spatially_separable_conv2d", "stochastic_depth", "swish", "tanh",
    "tanh_attention", "tanh_scores", "tanhshrink", "tied_logits", "weighted_over_time", "whitening", "word_dropout",
    "write_step",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
