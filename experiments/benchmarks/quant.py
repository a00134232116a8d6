"""Forward passes of convolutional networks in integers: beside float32, qwix, and PyTorch's x86 engine."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from experiments.benchmarks.comparison import Comparison
from fjdl import functional as F, nn
from fjdl.model import Model
from fjdl.models import cifar_resnet20
from fjdl.nn import Conv, Dense
from fjdl.nn.quantized import fake_quantized, quantized
from fjdl.typing import PyTree

IMAGE = (32, 32, 3)
FLOAT32 = "fjdl, float32"
WIDTHS = ((64, 64), (128, 128), (256, 256))  # channels of convolutions, a pool behind each pair


class Plain(linen.Module):
    """3 x 3 convolutions with ReLU and pools, then a dense layer."""

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        """[n, 32, 32, 3] to [n, 10]."""
        for stage, widths in enumerate(WIDTHS):
            for number, width in enumerate(widths):
                x = F.relu(Conv(width, (3, 3), name=f"conv{stage}{number}")(x))
            x = F.max_pool2d(x, window=2)
        return Dense(10, name="logits")(x.mean(axis=(1, 2)))


class FlaxPlain(linen.Module):
    """The same of Flax's own layers, with the same names."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        """[n, 32, 32, 3] to [n, 10]."""
        for stage, widths in enumerate(WIDTHS):
            for number, width in enumerate(widths):
                x = linen.relu(linen.Conv(width, (3, 3), name=f"conv{stage}{number}")(x))
            x = linen.max_pool(x, (2, 2), (2, 2))
        return linen.Dense(10, name="logits")(x.mean(axis=(1, 2)))


class Form(NamedTuple):
    """A network with its parameters."""

    model: Model
    params: PyTree
    stats: PyTree


def comparisons(batch_size: int, only: str) -> Iterator[Comparison]:
    """The plain network against all peers, then ResNet-20 with its normalizations folded."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((batch_size, *IMAGE)).astype(np.float32)
    if only.lower() in "plain cnn":
        yield from plain(images)
    if only.lower() in "resnet-20":
        network = nn.pure(cifar_resnet20(classes=10))
        smaller, fold, _ = nn.folded(network, images[:1])
        runs = runs_of(Form(smaller, *fold(*network.init(jax.random.key(0), images[:1]))), images)
        yield Comparison("ResNet-20", with_errors(runs, np.asarray(runs[FLOAT32]())))


def plain(images: np.ndarray) -> Iterator[Comparison]:
    """Six convolutions and a dense layer."""
    model = nn.pure(Plain())
    floats = Form(model, *model.init(jax.random.key(0), images[:1]))
    runs = runs_of(floats, images)
    expected, small = np.asarray(runs[FLOAT32]()), {name: run for name, run in runs.items() if name != FLOAT32}
    yield Comparison("plain CNN", with_errors(runs, expected))
    if find_spec("qwix"):
        peers = {"qwix, ranges of each call": qwix_run(floats.params, images)}
        yield Comparison("plain CNN", with_errors({**small, **peers}, expected))
    if find_spec("torch"):
        peers = dict(zip(("PyTorch, float32", "PyTorch, x86 engine"), torch_runs(floats.params, images), strict=True))
        yield Comparison("plain CNN", with_errors({**small, **peers}, expected))


def runs_of(floats: Form, images: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Integers, and float32 as the last."""
    forms = {**integer_forms(floats, images), FLOAT32: floats}
    return {name: runner(form, images) for name, form in forms.items()}


def integer_forms(floats: Form, images: np.ndarray) -> dict[str, Form]:
    """8 bits for kernels and inputs, with ranges that were found before or in each call."""
    model, params, stats = floats
    learning = fake_quantized(model, images[:1])
    _, ranges = learning.init(jax.random.key(0), images[:1])
    _, ranges = jax.jit(partial(learning.apply, train=True))(params, {**ranges, "model": stats}, images)
    found, convert = quantized(model, images[:1])
    anew, convert_anew = quantized(model, images[:1], dynamic=True)
    return {
        "fjdl, int8": Form(found, *convert(params, {**ranges, "model": stats})),
        "fjdl, int8, ranges of each call": Form(anew, *convert_anew(params, stats)),
    }


def runner(form: Form, images: np.ndarray) -> Callable[[], Any]:
    """A jitted call for these images."""
    call = jax.jit(lambda params, stats, x: form.model.apply(params, stats, x, train=False)[0])
    return lambda: jax.block_until_ready(call(form.params, form.stats, images))


def with_errors(runs: dict[str, Callable[[], Any]], expected: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The runs, whose names say the relative error of their outputs, which is that of the whole batch."""
    size = np.linalg.norm(expected)

    def error(run: Callable[[], Any]) -> str:
        value = float(np.linalg.norm(np.asarray(run()) - expected) / size)
        return f" (error {100 * value:.1f} %)" if value > 1e-4 else ""

    return {name + error(run): run for name, run in runs.items()}


def qwix_run(params: PyTree, images: np.ndarray) -> Callable[[], Any]:
    """qwix's integers for the network of Flax's layers, with ranges that each call finds."""
    qwix: Any = import_module("qwix")

    rule = qwix.QuantizationRule(weight_qtype=jnp.int8, act_qtype=jnp.int8)
    model = qwix.quantize_model(FlaxPlain(), qwix.PtqProvider([rule]))
    shapes = jax.eval_shape(model.init, jax.random.key(0), images[:1])["params"]
    small = qwix.quantize_params(params, shapes)
    call = jax.jit(lambda params, x: model.apply({"params": params}, x))
    return lambda: jax.block_until_ready(call(small, images))


def torch_runs(params: PyTree, images: np.ndarray) -> Sequence[Callable[[], Any]]:
    """The same network in PyTorch in float32, channels last, and in the integers of its x86 engine."""
    import warnings

    import torch
    from torch.ao.quantization import get_default_qconfig_mapping, quantize_fx

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = torch_twin(params).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.tensor(images).permute(0, 3, 1, 2)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = quantize_fx.prepare_fx(model, get_default_qconfig_mapping("x86"), example_inputs=(x,))
        prepared(x)
        small = quantize_fx.convert_fx(prepared)

    def run(network: Any) -> Any:
        with torch.no_grad():
            return network(x).numpy()

    return partial(run, model), partial(run, small)


def torch_twin(params: PyTree) -> Any:
    """The plain network with these parameters."""
    import torch

    layers: list[Any] = []
    channels = IMAGE[2]
    for stage, widths in enumerate(WIDTHS):
        for number, width in enumerate(widths):
            layer, own = torch.nn.Conv2d(channels, width, 3, padding=1), params[f"conv{stage}{number}"]
            layer.weight.data = torch.tensor(np.asarray(own["kernel"]).transpose(3, 2, 0, 1))
            layer.bias.data = torch.tensor(np.asarray(own["bias"]))  # type: ignore[union-attr]
            layers += [layer, torch.nn.ReLU()]
            channels = width
        layers.append(torch.nn.MaxPool2d(2))
    dense, own = torch.nn.Linear(channels, 10), params["logits"]
    dense.weight.data = torch.tensor(np.asarray(own["kernel"]).T)
    dense.bias.data = torch.tensor(np.asarray(own["bias"]))
    return torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), dense)
