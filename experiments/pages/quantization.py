"""Published weights in fewer bits: `python -m experiments.pages.quantization --write docs/quantization.md`.

ResNet-20 of CIFAR-10 by github.com/akamaster/pytorch_resnet_cifar10, batch normalizations folded, in the forms of
`fjdl.nn.quantized`: accuracy on the 10,000 test images. Ranges of inputs and roundings of second order are found on
training images.
"""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from experiments.command import run_guarded
from experiments.pages.markdown import print_table, table_line

SECTION = "published weights"
STREAM = (r"stem|stage\d+/block\d+",)  # the sums of the residual network


class Form(NamedTuple):
    """Bits of kernels, of those of the first and the last layer, and of inputs; None is float32."""

    bits: int
    edges: int
    inputs: int | None = 8
    rounding: str = "nearest"
    outputs: tuple[str, ...] = ()


FORMS = (
    Form(8, 8, None),
    Form(8, 8),
    Form(8, 8, outputs=STREAM),
    *(Form(bits, 8, 8, rounding) for bits in (4, 3) for rounding in ("nearest", "GPTQ")),
    Form(4, 8, 8, "GPTQ", STREAM),
)


@dataclasses.dataclass(frozen=True)
class Options:
    """Measure the accuracy of a published network in fewer bits."""

    calibrate: int = 1024
    """Training images that ranges, and roundings of second order, are found with."""
    examples: int = 10_000
    """Test images."""
    write: Path | None = None
    """A Markdown file in which the table between the two marker lines of its section is replaced."""


def main() -> None:
    """Prints the table row by row, and writes it where asked."""
    options = tyro.cli(Options, args=sys.argv[1:])
    print_table(table(options), options.write, section=SECTION)


def table(options: Options) -> Iterator[str]:
    """The lines of the table."""
    from fjdl.data.cifar import cifar10
    from fjdl.data.source import to_arrays

    splits = cifar10(validation=5000)
    train, test = (to_arrays(part) for part in (splits.train, splits.test))
    images, labels = test["image"][: options.examples], test["label"][: options.examples]
    network, params, stats = published_network()
    yield table_line(("kernels", "first and last", "inputs", "sums of blocks", "rounding", "test accuracy"))
    yield "|---|---|---|---|---|---:|"
    yield table_line(
        ("float32", "float32", "float32", "float32", "", f"{accuracy(network, params, stats, images, labels):.2%}")
    )
    batches = [train["image"][start : start + 128] for start in range(0, options.calibrate, 128)]
    for form in FORMS:
        found = accuracy(*smaller(form, network, params, stats, batches), images, labels)
        yield table_line((*described(form), f"{found:.2%}"))


def described(form: Form) -> tuple[str, ...]:
    """The cells of a row but the last."""
    inputs = "float32" if form.inputs is None else f"int{form.inputs}"
    return f"int{form.bits}", f"int{form.edges}", inputs, "int8" if form.outputs else "float32", form.rounding


def published_network() -> tuple[Any, Any, Any]:
    """The network of images of bytes, with its normalizations folded, and its parameters and statistics."""
    import jax
    import jax.numpy as jnp

    from configs.fashion_mnist_finetuned import MEAN, PUBLISHED, STD
    from fjdl.functional.preprocessing import scale_pixels, standardize
    from fjdl.models import CIFAR_RESNET_AKAMASTER, cifar_resnet20
    from fjdl.nn import folded, pure
    from fjdl.transfer import from_torch, load_torch_pickle

    network = pure(cifar_resnet20(classes=10))
    one = jnp.zeros((1, 32, 32, 3))
    smaller, fold, _ = folded(network, one)

    def seen(images: Any) -> Any:
        return standardize(scale_pixels(images), mean=MEAN, std=STD)

    def init(key: Any, images: Any) -> Any:
        return smaller.init(key, seen(images))

    def apply(params: Any, stats: Any, images: Any, **options: Any) -> Any:
        return smaller.apply(params, stats, seen(images), **options)

    params, stats = jax.eval_shape(network.init, jax.random.key(0), one)
    tensors = load_torch_pickle(PUBLISHED.place, strip="module.")["state_dict"]
    params, stats = from_torch(tensors, params, stats, CIFAR_RESNET_AKAMASTER)
    return smaller._replace(init=init, apply=apply), *fold(params, stats)


def smaller(form: Form, network: Any, params: Any, stats: Any, batches: list[Any]) -> tuple[Any, Any, Any]:
    """The model in this form, and its parameters and statistics."""
    import jax

    from experiments.quantizations.learning import ranged
    from fjdl.nn.quantized import Bits, quantized, rounded_on_data

    rules = (("stem/conv|logits", Bits(form.edges, form.inputs)), (".*", Bits(form.bits, form.inputs)))
    shapes = jax.ShapeDtypeStruct((1, 32, 32, 3), "uint8")
    found = ranged(network, params, stats, batches, rules=rules, outputs=form.outputs)
    if form.rounding == "GPTQ":
        params = rounded_on_data(network, params, stats, batches, rules=rules)
    model, convert = quantized(network, shapes, rules=rules, outputs=form.outputs)
    return model, *convert(params, found)


def accuracy(model: Any, params: Any, stats: Any, images: Any, labels: Any) -> float:
    """The share of images whose class has the highest score."""
    import jax
    import numpy as np

    scores = jax.jit(lambda images: model.apply(params, stats, images, train=False)[0])
    parts = [np.asarray(scores(images[i : i + 500])).argmax(axis=-1) for i in range(0, len(images), 500)]
    return float(np.mean(np.concatenate(parts) == labels))


if __name__ == "__main__":
    run_guarded(main)
