"""Training steps of convolutional networks: fjdl alone and in an epoch's scan, with XLA's own convolutions, PyTorch.

The peer is PyTorch, or XLA's own convolutions where PyTorch is not installed, as beside newer versions of JAX.
"""

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from experiments.benchmarks.comparison import Comparison
from experiments.benchmarks.lenet import epoch_scan, recipe, single_steps
from fjdl.analysis import total
from fjdl.functional import conv2d
from fjdl.lowering import conv_cpu
from fjdl.models import LeNet5, MobileNet, alexnet_cifar, resnet18, resnet50
from fjdl.models.resnet import SmallStem
from fjdl.nn import pure

Precision = Literal["float32", "bfloat16"]
STEPS = 2  # of a turn
PHOTO = (224, 224, 3)  # for accelerators, where asked for by name
DEPTHWISE = ((32, 32), (16, 128), (8, 256), (4, 512))  # sizes and channels


class Contest(NamedTuple):
    """One network in both libraries, and the shape of its images."""

    module: linen.Module
    twin: str  # its name among the PyTorch networks
    image: tuple[int, int, int]


def contests() -> dict[str, Contest]:
    """Every network of the benchmark."""
    colour = (32, 32, 3)
    return {
        "LeNet-5": Contest(LeNet5(), "lenet", (28, 28, 1)),
        "AlexNet": Contest(alexnet_cifar(), "alexnet", colour),
        "ResNet-18": Contest(resnet18(stem=partial(SmallStem, 64), classes=10), "resnet18", colour),
        "MobileNet": Contest(MobileNet(stem_stride=1, classes=10), "mobilenet", colour),
        "ResNet-50, 224 pixels": Contest(resnet50(), "resnet50", PHOTO),
    }


def comparisons(batch_size: int, only: str) -> Iterator[Comparison]:
    """The networks in float32 and bfloat16, then depthwise convolutions alone."""
    for precision in ("float32", "bfloat16"):
        peak = product_rate(precision)
        for name, contest in contests().items():
            if only.lower() in name.lower() and (only or contest.image != PHOTO):
                yield network(f"{name}, {precision}", contest, batch_size, precision, peak)
    if only.lower() in "depthwise":
        yield from depthwise(batch_size)


def network(name: str, contest: Contest, batch_size: int, precision: Precision, peak: float) -> Comparison:
    """Training steps, 6 operations for each MAC of the forward pass."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch_size * STEPS, *contest.image), dtype=np.uint8)
    labels = rng.integers(0, 10, batch_size * STEPS).astype(np.int32)
    ours = recipe(images, labels, batch_size, precision, model=pure(contest.module))
    arrays = {"image": images, "label": labels}
    macs = total(ours.model.layers(jnp.zeros((1, *contest.image)))).macs
    runs = {
        "fjdl, one jitted step": single_steps(ours, arrays, STEPS),
        "fjdl, epoch scan": epoch_scan(ours, arrays),
        "one jitted step, XLA's own convolutions": with_xlas_own(single_steps(ours, arrays, STEPS)),
    }
    if find_spec("torch"):
        for peer, compiled in (("PyTorch, compiled", True), ("PyTorch", False)):
            runs[peer] = torch_steps(contest, images, labels, batch_size, precision, compiled=compiled)
    return Comparison(name, runs, STEPS, operations=6.0 * macs * batch_size * STEPS, peak=peak)


def with_xlas_own(run: Callable[[], Any]) -> Callable[[], Any]:
    """The run, compiled with XLA's own convolutions in the one layout that it runs fast."""
    with patch.object(conv_cpu, "_method", lambda *_: conv_cpu.CANONICAL):
        run()
    return run


def torch_steps(
    contest: Contest, images: np.ndarray, labels: np.ndarray, batch_size: int, precision: Precision, *, compiled: bool
) -> Callable[[], None]:
    """The twin with momentum on batches that are ready, channels last; bfloat16 by autocast."""
    import torch

    from experiments.benchmarks import cnn_in_torch as twins

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    device = torch.device("cuda" if jax.default_backend() == "gpu" else "cpu")
    model = getattr(twins, contest.twin)().to(device=device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward = torch.compile(model) if compiled else model
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    x = torch.tensor(images, dtype=torch.float32, device=device).div(255).permute(0, 3, 1, 2)
    batches = list(
        zip(x.split(batch_size), torch.tensor(labels, dtype=torch.int64, device=device).split(batch_size), strict=True)
    )

    def run() -> None:
        for x, y in batches:
            optimizer.zero_grad()
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
                loss = torch.nn.functional.cross_entropy(forward(x), y)
            loss.backward()
            optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def depthwise(batch_size: int) -> Iterator[Comparison]:
    """Output and both gradients of depthwise 3 x 3 convolutions."""
    rng = np.random.default_rng(0)
    for size, channels in DEPTHWISE:
        x, y = (rng.standard_normal((batch_size, size, size, channels)).astype(np.float32) for _ in range(2))
        kernel = rng.standard_normal((3, 3, 1, channels)).astype(np.float32)
        runs = {"fjdl": depthwise_jax(x, kernel, y), "XLA's own": with_xlas_own(depthwise_jax(x, kernel, y))}
        if find_spec("torch"):
            runs["PyTorch"] = depthwise_torch(x, kernel, y)
        yield Comparison(f"depthwise 3 x 3, {size} x {size} x {channels}", runs)


def depthwise_jax(x: np.ndarray, kernel: np.ndarray, y: np.ndarray) -> Callable[[], None]:
    """One jitted call."""

    @jax.jit
    def both(x: Any, kernel: Any, y: Any) -> Any:
        out, pullback = jax.vjp(lambda x, k: conv2d(x, k, padding=1, groups=x.shape[-1]), x, kernel)
        return out, pullback(y)

    arrays = [jnp.asarray(a) for a in (x, kernel, y)]
    return lambda: jax.block_until_ready(both(*arrays))


def depthwise_torch(x: np.ndarray, kernel: np.ndarray, y: np.ndarray) -> Callable[[], None]:
    """Forward and backward on channels-last tensors."""
    import torch

    device = torch.device("cuda" if jax.default_backend() == "gpu" else "cpu")
    images, cotangent = (torch.tensor(a, device=device).permute(0, 3, 1, 2) for a in (x, y))
    weight = torch.tensor(kernel, device=device).permute(3, 2, 0, 1).requires_grad_()
    images.requires_grad_()

    def run() -> None:
        images.grad = weight.grad = None
        torch.nn.functional.conv2d(images, weight, padding=1, groups=images.shape[1]).backward(cotangent)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def product_rate(precision: Precision, *, size: int = 2048, turns: int = 9) -> float:
    """Operations per second of a jitted matrix product with float32 sums, at its best."""
    a = jnp.ones((size, size), precision)
    product = jax.jit(lambda a: jax.lax.dot(a, a, preferred_element_type=jnp.float32))
    seconds = []
    for _ in range(turns + 1):
        start = time.perf_counter()
        jax.block_until_ready(product(a))
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)
