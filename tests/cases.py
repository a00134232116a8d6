"""One table of everything public with a way to build its inputs; `test_laws.py` holds each law once over it.

A new public function of floors 1 and 2 is one new row here.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from fjdl import functional, losses, metrics, quant, schedules
from fjdl.functional import initializers, preprocessing
from fjdl.metrics import counts


class Case(NamedTuple):
    """One public function under the laws."""

    function: Callable[..., Any]  # options already bound, arrays positional
    inputs: Callable[[np.random.Generator], tuple[Any, ...]]  # float32/int32 numpy arrays, and typed keys
    differentiable: tuple[int, ...] = ()  # positions of smooth float arguments, away from kinks
    result: str | None = (
        "same"  # dtype of the result for bfloat16 inputs; "same" = bfloat16; None = not a float function
    )
    vmappable: bool = True
    label: str = ""

    @property
    def name(self) -> str:
        target = getattr(self.function, "func", self.function)
        return f"{target.__module__.removeprefix('fjdl.')}.{target.__qualname__}{self.label and '-' + self.label}"


def normal(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.standard_normal(shape).astype(np.float32)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.uniform(low, high, shape).astype(np.float32)


def labels(*shape: int, classes: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.integers(0, classes, shape).astype(np.int32)


def inputs(*makers: Callable[[np.random.Generator], Any]) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    return lambda rng: tuple(make(rng) for make in makers)


# --- functional


def key(rng: np.random.Generator) -> jax.Array:
    return jax.random.key(int(rng.integers(2**31)))


def initializer(init: initializers.Initializer, label: str) -> Case:
    return Case(partial(init, shape=(3, 3, 4, 5)), inputs(key), result=None, label=label)


IMAGE = normal(2, 5, 6, 3)
FUNCTIONAL: list[Case] = [
    Case(functional.identity, inputs(normal(4, 5)), (0,)),
    Case(functional.relu, inputs(normal(4, 5)), (0,)),
    Case(functional.tanh, inputs(normal(4, 5)), (0,)),
    Case(functional.sigmoid, inputs(normal(4, 5)), (0,)),
    Case(functional.softmax, inputs(normal(4, 5)), (0,)),
    Case(functional.log_softmax, inputs(normal(4, 5)), (0,)),
    Case(partial(functional.softmax, axis=0), inputs(normal(4, 5)), (0,), label="axis0"),
    Case(functional.linear, inputs(normal(4, 5), normal(5, 3), normal(3)), (0, 1, 2)),
    Case(functional.conv2d, inputs(IMAGE, normal(3, 3, 3, 4), normal(4)), (0, 1, 2)),
    Case(
        partial(functional.conv2d, stride=2, padding=1, dilation=(1, 2), groups=3),
        inputs(IMAGE, normal(2, 2, 1, 6), normal(6)),
        (0, 1, 2),
        label="grouped",
    ),
    Case(functional.conv2d, inputs(normal(1, 4, 4, 3), normal(3, 3, 3, 20), normal(20)), (0, 1, 2), label="wide"),
    Case(partial(functional.average_pool2d, window=2), inputs(IMAGE), (0,)),
    Case(partial(functional.max_pool2d, window=3, stride=2, padding=1), inputs(IMAGE), (0,)),
    Case(partial(functional.dropout, rate=0.4), inputs(key, normal(4, 5)), (1,)),
    Case(partial(preprocessing.scale_pixels, maximum=9.0), inputs(normal(4, 5)), (), "float32"),
    Case(partial(preprocessing.standardize, mean=0.3, std=0.5), inputs(normal(4, 5)), (0,)),
    initializer(initializers.glorot_uniform(), "glorot_uniform"),
    initializer(initializers.glorot_normal(), "glorot_normal"),
    initializer(initializers.he_uniform(), "he_uniform"),
    initializer(initializers.he_normal(), "he_normal"),
    initializer(initializers.lecun_uniform(), "lecun_uniform"),
    initializer(initializers.lecun_normal(), "lecun_normal"),
    initializer(initializers.normal(0.1), "normal"),
    initializer(initializers.uniform(-1.0, 2.0), "uniform"),
    initializer(initializers.zeros(), "zeros"),
    initializer(initializers.ones(), "ones"),
    initializer(initializers.constant(0.5), "constant"),
]

# --- losses


def masked_mean(values: Any, mask: Any, weights: Any) -> Any:
    return losses.mean(values, mask=mask, weights=weights)


LOSSES = [
    Case(losses.softmax_cross_entropy, inputs(normal(4, 5), labels(4, classes=5)), (0,), "float32"),
    Case(
        partial(losses.softmax_cross_entropy, smoothing=0.1),
        inputs(normal(2, 3, 5), labels(2, 3, classes=5)),
        (0,),
        "float32",
        label="smoothed",
    ),
    Case(losses.soft_cross_entropy, inputs(normal(4, 5), uniform(4, 5)), (0, 1), "float32"),
    Case(losses.sigmoid_cross_entropy, inputs(normal(4, 5), uniform(4, 5)), (0, 1), "float32"),
    Case(losses.mse, inputs(normal(4, 5), normal(4, 5)), (0, 1), "float32"),
    Case(losses.total, inputs(normal(4, 5)), (0,), "float32"),
    Case(losses.mean, inputs(normal(4, 5)), (0,), "float32"),
    Case(masked_mean, inputs(normal(4, 5), labels(4, 5, classes=2), uniform(4, 5, low=0.5)), (0, 2), "float32"),
]

# --- metrics


def accuracy_on_batch(outputs: Any, labels: Any, mask: Any) -> Any:
    metric = metrics.on(metrics.accuracy(), lambda outputs, batch: (outputs, batch["label"]))
    return metric.compute(metric.update(metric.init(), outputs, {"label": labels, "mask": mask}))


def sum_of_counts(a: Any, b: Any) -> Any:
    return counts.to_float(counts.add(counts.add(counts.zero(a.shape), counts.of(a)), counts.of(b)))


METRICS = [
    Case(
        partial(metrics.measure, metrics.accuracy()),
        inputs(normal(6, 4), labels(6, classes=4)),
        result="float32",
        label="accuracy",
    ),
    Case(
        partial(metrics.measure, metrics.top_k_accuracy(2)),
        inputs(normal(6, 4), labels(6, classes=4)),
        result="float32",
        label="top_k_accuracy",
    ),
    Case(
        partial(metrics.measure, metrics.confusion_matrix(4)),
        inputs(labels(6, classes=4), labels(6, classes=4)),
        result=None,
        label="confusion_matrix",
    ),
    Case(partial(metrics.measure, metrics.mean()), inputs(normal(6)), (0,), "float32", label="mean"),
    Case(accuracy_on_batch, inputs(normal(6, 4), labels(6, classes=4), labels(6, classes=2)), result="float32"),
    Case(sum_of_counts, inputs(labels(3, classes=9), labels(3, classes=9)), result=None),
    Case(metrics.predicted_class, inputs(normal(6, 4)), result=None),
    Case(metrics.accuracy_from, inputs(uniform(3, 3, low=1.0, high=2.0)), (0,), "float32"),
    Case(metrics.precision, inputs(uniform(3, 3, low=1.0, high=2.0)), (0,), "float32"),
    Case(metrics.recall, inputs(uniform(3, 3, low=1.0, high=2.0)), (0,), "float32"),
    Case(metrics.f1, inputs(uniform(3, 3, low=1.0, high=2.0)), (0,), "float32"),
    Case(partial(metrics.macro, metrics.f1), inputs(uniform(3, 3, low=1.0, high=2.0)), (0,), "float32"),
    Case(partial(metrics.micro, metrics.f1), inputs(uniform(3, 3, low=1.0, high=2.0)), (0,), "float32"),
    Case(partial(metrics.weighted, metrics.f1), inputs(uniform(3, 3, low=1.0, high=2.0)), (0,), "float32"),
    Case(metrics.wilson_interval, inputs(uniform(4, low=1, high=8), uniform(4, low=9, high=9.5)), (0, 1), "float32"),
]

# --- schedules

SCHEDULES: list[Case] = [
    Case(schedules.constant(0.1), inputs(labels(classes=200)), result=None, vmappable=False),
    Case(schedules.cosine(peak=0.1, steps=100), inputs(labels(classes=200)), result=None),
    Case(schedules.warmup(schedules.constant(0.1), steps=100), inputs(labels(classes=200)), result=None),
    Case(
        schedules.warmup_cosine(peak=0.1, warmup_steps=50, steps=100),
        inputs(labels(classes=200)),
        result=None,
        label="cosine",
    ),
]

# --- quant


def quantized(*shape: int) -> Callable[[np.random.Generator], quant.Quantized]:
    return lambda rng: quant.Quantized(
        rng.integers(-128, 128, shape).astype(np.int8),
        rng.uniform(0.1, 1.0, (1, *shape[1:])).astype(np.float32),
        np.full((1, *shape[1:]), 3, np.float32),
    )


QUANT: list[Case] = [
    Case(partial(quant.absmax_quantize, axis=-1), inputs(normal(4, 3)), result=None),
    Case(partial(quant.zeropoint_quantize, axis=-1), inputs(normal(4, 3)), result=None),
    Case(quant.dequantize, inputs(quantized(4, 3)), result=None),
    Case(
        partial(quant.quantize_tree, quantize=quant.absmax_quantize),
        inputs(lambda rng: {"kernel": normal(4, 3)(rng), "bias": normal(3)(rng)}),
        result=None,
    ),
    Case(quant.dequantize_tree, inputs(lambda rng: {"kernel": quantized(4, 3)(rng)}), result=None),
]

CASES = [*FUNCTIONAL, *LOSSES, *METRICS, *SCHEDULES, *QUANT]
