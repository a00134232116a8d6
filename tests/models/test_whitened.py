import jax
import jax.numpy as jnp
import numpy as np
import torch

from fjdl.models.whitened import WhitenedGroup, WhitenedNet
from fjdl.nn import pure
from fjdl.transfer import Layout, to_torch
from fjdl.tree import count
from tests.models.parity import random_variables

LAYOUT = Layout(((r"conv(\d)", r"conv\1"), (r"norm(\d)", r"norm\1")))


def test_its_size_is_that_of_the_paper() -> None:
    layers = pure(WhitenedNet()).layers(jax.ShapeDtypeStruct((1, 31, 31, 24), jnp.float32))
    assert sum(layer.parameters for layer in layers) == 1_971_352
    assert layers[-1].output == (10,)
    whitening = 31 * 31 * 12 * 24  # of the frozen convolution before it
    assert sum(layer.macs for layer in layers) + whitening == 118_147_360


def test_a_group_equals_torch(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 6, 6, 3)).astype(np.float32)
    model = pure(WhitenedGroup(5))
    params, stats = random_variables(model, x)
    weights = {name: torch.tensor(value) for name, value in to_torch(params, stats, LAYOUT).items()}
    y = torch.tensor(x).permute(0, 3, 1, 2)
    for number in (1, 2):
        y = torch.conv2d(y, weights[f"conv{number}.weight"], padding=1)
        y = torch.nn.functional.max_pool2d(y, 2) if number == 1 else y
        mean, var, bias = (weights[f"norm{number}.{name}"] for name in ("running_mean", "running_var", "bias"))
        y = torch.nn.functional.gelu(torch.nn.functional.batch_norm(y, mean, var, bias=bias, eps=1e-12))
    actual, _ = jax.jit(model.apply)(params, stats, x)
    np.testing.assert_allclose(actual, y.permute(0, 2, 3, 1), rtol=1e-4, atol=1e-5)


def test_convolutions_start_by_repeating_their_inputs() -> None:
    x = jnp.arange(2 * 4 * 4 * 3, dtype=jnp.float32).reshape(2, 4, 4, 3)
    params, _ = pure(WhitenedGroup(8)).init(jax.random.key(0), x)
    kernel = params["conv1"]["kernel"]
    expected = np.zeros((3, 3, 3, 3), np.float32)
    expected[1, 1] = np.eye(3)
    np.testing.assert_array_equal(kernel[..., :3], expected)
    bound = 1 / np.sqrt(9 * 3)
    assert 0.8 * bound < float(jnp.abs(kernel[..., 3:]).max()) <= bound
    assert count(params) == 9 * 3 * 8 + 9 * 8 * 8 + 2 * 8


def test_logits_are_divided_by_the_last_width() -> None:
    model = pure(WhitenedNet(widths=(4, 4, 6)))
    x = jax.random.normal(jax.random.key(1), (2, 31, 31, 24))
    params, stats = random_variables(model, x)
    params["logits"]["kernel"] = jnp.ones((6, 10))
    features = pure(WhitenedNet(widths=(4, 4, 6)), outputs=("flatten",))
    both = jax.jit(lambda *args: (features.apply(*args)[0]["flatten"], model.apply(*args)[0]))
    pooled, logits = both(params, stats, x)
    np.testing.assert_allclose(logits, np.repeat(np.asarray(pooled.mean(axis=1, keepdims=True)), 10, 1), rtol=1e-5)
