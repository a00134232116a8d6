"""Rows of the convolutions of other forms than `conv2d`, which has its rows in `functional`.

Those that only pass their arguments on to it have no domain: its own row covers that.
"""

from functools import partial

import numpy as np
import scipy.ndimage

from fjdl.functional import filters
from fjdl.functional.conv import (
    algorithms as conv_algorithms,
    dense as dense_conv,
    gradients as conv_gradients,
    local,
    separable,
    transposed,
    unfold,
)
from fjdl.functional.conv.conv1d import conv1d
from fjdl.functional.conv.conv2d import conv2d
from fjdl.functional.conv.conv3d import conv3d
from tests.cases.case import Case, inputs, normal, of_torch


def channels_first(x):
    return x.movedim(-1, 1)


def torch_conv(axes, **options):
    """PyTorch's convolution, or its transpose with `output_padding`, of arrays with channels last."""
    import torch

    name = f"conv_transpose{axes}d" if "output_padding" in options else f"conv{axes}d"

    def run(x, kernel, bias=None):
        weight = kernel.permute(axes + 1, axes, *range(axes)).contiguous()
        return getattr(torch.nn.functional, name)(channels_first(x), weight, bias, **options).movedim(1, -1)

    return of_torch(run)


def torch_unfold(x):
    import torch

    columns = torch.nn.functional.unfold(channels_first(x), (2, 3), (2, 1), 1, (1, 2))
    return columns.reshape(2, 3, 2, 3, 4, 2).permute(0, 4, 5, 2, 3, 1).reshape(2, 4, 2, 18)


def torch_fold(columns):
    import torch

    windows = columns.reshape(1, 6, 2, 2, 3, 3).permute(0, 5, 3, 4, 1, 2).reshape(1, 18, 12)
    return torch.nn.functional.fold(windows, (5, 4), (2, 3), 1, 1, (1, 2)).movedim(1, -1)


def torch_input_gradient(y, kernel):
    import torch

    weight = kernel.permute(3, 2, 0, 1).contiguous()
    gradient = torch.nn.grad.conv2d_input((2, 4, 5, 6), weight, channels_first(y), (2, 1), 1, (1, 2), 2)
    return gradient.movedim(1, -1)


def torch_kernel_gradient(x, y):
    import torch

    first, cotangent = channels_first(x).contiguous(), channels_first(y).contiguous()
    gradient = torch.nn.grad.conv2d_weight(first, (6, 2, 3, 2), cotangent, (2, 1), 1, (1, 2), 2)
    return gradient.permute(2, 3, 1, 0)


def torch_local(x, kernel, bias):
    import torch

    windows = torch.nn.functional.unfold(channels_first(x), (2, 2), stride=2).reshape(2, 3, 2, 2, 2, 3)
    return torch.einsum("ncijpq,pqijco->npqo", windows, kernel) + bias


def impulse_response(scipy_filter):
    """The kernel of a filter: what it makes of one bright pixel, turned back."""

    def oracle():
        image = np.zeros((5, 5))
        image[2, 2] = 1
        return scipy_filter(image)[1:4, 1:4][::-1, ::-1, None, None]

    return oracle


def edge_filter(function, oracle):
    return Case(function, inputs(), (), None, vmappable=False, oracle=oracle)


def zeros(*shape):
    return np.zeros(shape, np.float32)


IMAGE = normal(2, 5, 6, 4)
OPTIONS = {"stride": (2, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 2), "groups": 2}
PLAIN = {"stride": (2, 1), "padding": 1, "dilation": (1, 2), "groups": 2}
GROUPED = inputs(IMAGE, normal(3, 2, 2, 6), normal(6))
REFUSED = (((zeros(2, 5, 6, 4), zeros(3, 2, 4, 6), zeros(6)), "groups must divide the channels"),)
SCHARR = np.array([[3, 0, -3], [10, 0, -10], [3, 0, -3]])[..., None, None]

CASES: list[Case] = [
    Case(
        partial(conv1d, stride=2, padding=((2, 1),), dilation=(2,), groups=2),
        inputs(normal(2, 7, 4), normal(3, 2, 6), normal(6)),
        (0, 1, 2),
        domain=None,
        oracle=lambda x, *rest: torch_conv(1, stride=2, dilation=2, groups=2)(
            np.pad(x, ((0, 0), (2, 1), (0, 0))), *rest
        ),
    ),
    Case(
        partial(conv3d, stride=(1, 2, 1), padding=1, dilation=(2, 1, 1), groups=2),
        inputs(normal(1, 4, 5, 4, 4), normal(2, 3, 2, 2, 4), normal(4)),
        (0, 1, 2),
        domain=None,
        oracle=torch_conv(3, stride=(1, 2, 1), padding=1, dilation=(2, 1, 1), groups=2),
    ),
    Case(
        partial(transposed.conv_transpose2d, **OPTIONS, output_padding=(1, 0)),
        inputs(normal(2, 3, 4, 4), normal(3, 2, 3, 4), normal(6)),
        (0, 1, 2),
        domain=None,
        oracle=torch_conv(2, **PLAIN, output_padding=(1, 0)),
        errors=(
            ((zeros(1, 3, 4, 4), zeros(3, 2, 3, 5)), "conv_transpose2d: argument `kernel` must be"),
            ((zeros(1, 3, 4, 3), zeros(3, 2, 3, 3)), "groups must divide the input channels"),
            ((zeros(1, 3, 4, 4), zeros(0, 2, 3, 4)), "kernel must have no empty axis"),
        ),
    ),
    Case(
        partial(transposed.conv_transpose1d, stride=3, padding=1, output_padding=2, dilation=2, groups=2),
        inputs(normal(2, 4, 4), normal(3, 3, 4), normal(6)),
        (0, 1, 2),
        domain=None,
        oracle=torch_conv(1, stride=3, padding=1, output_padding=2, dilation=2, groups=2),
    ),
    Case(
        partial(transposed.conv_transpose3d, stride=(2, 1, 2), padding=1, output_padding=(1, 0, 0)),
        inputs(normal(1, 2, 3, 2, 3), normal(2, 3, 3, 2, 3), normal(2)),
        (0, 1, 2),
        domain=None,
        oracle=torch_conv(3, stride=(2, 1, 2), padding=1, output_padding=(1, 0, 0)),
    ),
    Case(
        partial(conv1d, padding="CAUSAL", dilation=2),
        inputs(normal(2, 5, 3), normal(3, 3, 4)),
        (0, 1),
        label="causal",
        domain=None,
        oracle=lambda x, kernel: torch_conv(1, dilation=2)(np.pad(x, ((0, 0), (4, 0), (0, 0))), kernel),
    ),
    Case(
        partial(conv2d, padding="REFLECT", stride=(2, 1), dilation=(1, 2)),
        inputs(normal(2, 4, 5, 3), normal(3, 2, 3, 4)),
        (0, 1),
        label="reflect",
        domain=None,
        oracle=lambda x, kernel: torch_conv(2, stride=(2, 1), dilation=(1, 2))(
            np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect"), kernel
        ),
        errors=(((zeros(1, 1, 5, 3), zeros(3, 2, 3, 4)), "padding 'REFLECT' must find at least 2 pixels"),),
    ),
    Case(
        partial(conv3d, padding="CIRCULAR"),
        inputs(normal(1, 3, 2, 2, 2), normal(3, 2, 2, 2, 3)),
        (0, 1),
        label="circular",
        domain=None,
        oracle=lambda x, kernel: torch_conv(3)(np.pad(x, ((0, 0), (1, 1), (0, 1), (0, 1), (0, 0)), "wrap"), kernel),
    ),
    Case(
        partial(separable.depthwise_conv2d, stride=2, padding=1),
        inputs(IMAGE, normal(3, 3, 1, 8), normal(8)),
        (0, 1, 2),
        domain=None,
        oracle=torch_conv(2, stride=2, padding=1, groups=4),
    ),
    Case(
        separable.pointwise_conv2d,
        inputs(IMAGE, normal(1, 1, 4, 3), normal(3)),
        (0, 1, 2),
        domain=None,
        oracle=torch_conv(2),
    ),
    Case(
        partial(separable.separable_conv2d, padding=1, dilation=(2, 1)),
        inputs(IMAGE, normal(3, 3, 1, 8), normal(1, 1, 8, 3), normal(3)),
        (0, 1, 2, 3),
        domain=None,
        oracle=lambda x, first, second, bias: torch_conv(2)(
            torch_conv(2, padding=1, dilation=(2, 1), groups=4)(x, first), second, bias
        ),
    ),
    Case(
        partial(separable.spatially_separable_conv2d, stride=(2, 1), padding=((1, 1), (2, 2)), dilation=(1, 2)),
        inputs(IMAGE, normal(3, 1, 4, 2), normal(1, 2, 2, 3), normal(3)),
        (0, 1, 2, 3),
        domain=None,
        oracle=lambda x, column, row, bias: torch_conv(2, stride=(2, 1), padding=(1, 2), dilation=(1, 2))(
            x, np.einsum("hacm,bwmo->hwco", column, row), bias
        ),
    ),
    Case(
        partial(unfold.im2col, window=(2, 3), stride=(1, 2), padding=1, dilation=(2, 1)),
        inputs(normal(2, 4, 4, 3)),
        (0,),
        oracle=of_torch(torch_unfold),
    ),
    Case(
        partial(unfold.col2im, size=(5, 4), window=(2, 3), stride=(1, 2), padding=1, dilation=(1, 1)),
        inputs(normal(1, 6, 2, 18)),
        (0,),
        oracle=of_torch(torch_fold),
        errors=(
            ((zeros(1, 5, 2, 18),), r"columns must be \[\.\.\., 6, 2, 6 c\], got shape \(1, 5, 2, 18\)"),
            ((zeros(1, 6, 2, 16),), r"columns must be \[\.\.\., 6, 2, 6 c\]"),
        ),
    ),
    Case(
        partial(conv_algorithms.conv2d_im2col, **OPTIONS),
        GROUPED,
        (0, 1, 2),
        domain=None,
        oracle=torch_conv(2, **PLAIN),
        errors=REFUSED,
    ),
    Case(
        partial(conv_algorithms.conv2d_fft, **OPTIONS),
        GROUPED,
        (0, 1, 2),
        oracle=torch_conv(2, **PLAIN),
        errors=REFUSED,
    ),
    Case(
        partial(conv_gradients.conv2d_input_gradient, size=(5, 6), **OPTIONS),
        inputs(normal(2, 3, 6, 6), normal(3, 2, 2, 6)),
        (0, 1),
        oracle=of_torch(torch_input_gradient),
        errors=(((zeros(2, 4, 6, 6), zeros(3, 2, 2, 6)), r"y must have the output's size \(3, 6\), got \(4, 6\)"),),
    ),
    Case(
        partial(conv_gradients.conv2d_kernel_gradient, window=(3, 2), **OPTIONS),
        inputs(IMAGE, normal(2, 3, 6, 6)),
        (0, 1),
        oracle=of_torch(torch_kernel_gradient),
        errors=(
            ((zeros(2, 5, 6, 4), zeros(2, 3, 5, 6)), r"y must have the output's size \(3, 6\), got \(3, 5\)"),
            ((zeros(2, 5, 6, 3), zeros(2, 3, 6, 6)), "groups must divide the channels"),
        ),
    ),
    Case(
        partial(local.locally_connected2d, stride=2),
        inputs(normal(2, 4, 6, 3), normal(2, 3, 2, 2, 3, 2), normal(2, 3, 2)),
        (0, 1, 2),
        oracle=of_torch(torch_local),
        errors=(
            ((zeros(4, 6, 3), zeros(3, 3, 2, 2, 3, 2)), "kernel must hold 2 x 3 positions of the window, got 3 x 3"),
            ((zeros(4, 6, 3), zeros(2, 3, 2, 0, 3, 2)), "kernel must have no empty axis"),
        ),
    ),
    Case(
        partial(dense_conv.dense_to_conv, size=(2, 3)),
        inputs(normal(24, 5)),
        errors=(((zeros(25, 5),), "must be a multiple of the pixels"),),
    ),
    Case(dense_conv.conv_to_dense, inputs(normal(2, 3, 4, 5))),
    edge_filter(filters.prewitt_vertical, impulse_response(lambda image: -scipy.ndimage.prewitt(image, axis=1))),
    edge_filter(filters.prewitt_horizontal, impulse_response(lambda image: -scipy.ndimage.prewitt(image, axis=0))),
    edge_filter(filters.sobel_vertical, impulse_response(lambda image: -scipy.ndimage.sobel(image, axis=1))),
    edge_filter(filters.sobel_horizontal, impulse_response(lambda image: -scipy.ndimage.sobel(image, axis=0))),
    edge_filter(filters.scharr_vertical, lambda: SCHARR),
    edge_filter(filters.scharr_horizontal, lambda: SCHARR.swapaxes(0, 1)),
    edge_filter(filters.laplacian, impulse_response(scipy.ndimage.laplace)),
]
