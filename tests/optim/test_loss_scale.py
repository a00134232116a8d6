"""The scale of a loss in float16, beside PyTorch's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import optim
from fjdl.optim.loss_scale import LossScaleState

FINITE = [True, True, True, False, True, False, False, True, True, True, True, True, True, True]


def scales(scaling: optim.LossScale) -> list[float]:
    """The scale after each of those steps."""
    state, update, found = scaling.init(), jax.jit(scaling.update), []
    for finite in FINITE:
        state = update(state, jnp.asarray(finite))
        found.append(float(state.scale))
    return found


def test_the_scale_moves_as_that_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    options = {"growth_factor": 3.0, "backoff_factor": 0.25, "growth_interval": 2}
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, **options)
    weight, expected = torch.zeros(1, requires_grad=True), []
    optimizer = torch.optim.SGD([weight], lr=0.1)
    for finite in FINITE:
        optimizer.zero_grad()
        scaler.scale(weight.sum() * (1.0 if finite else float("inf"))).backward()
        scaler.step(optimizer)
        scaler.update()
        expected.append(scaler.get_scale())
    assert scales(optim.dynamic_loss_scale(initial=1024.0, growth=3.0, backoff=0.25, interval=2)) == expected


def test_the_scale_stays_between_its_bounds() -> None:
    found = scales(optim.dynamic_loss_scale(initial=2.0, interval=1, minimum=1.0, maximum=8.0))
    assert found == [4, 8, 8, 4, 8, 4, 2, 4, 8, 8, 8, 8, 8, 8]


def test_a_gradient_below_the_range_of_float16_is_found_with_a_scale_and_lost_without() -> None:
    weight, factor = jnp.float32(1.0), jnp.float16(1e-5)

    def loss(weight: jax.Array) -> jax.Array:
        return (weight.astype(jnp.float16) * factor).astype(jnp.float32) * 1e-3

    scaling = optim.dynamic_loss_scale()
    state = scaling.init()
    scaled = jax.grad(lambda w: scaling.scale(state, loss(w)))(weight)
    assert float(jax.grad(loss)(weight)) == 0
    np.testing.assert_allclose(scaling.unscale(state, scaled), 1e-8, rtol=2e-3)


def test_gradients_are_unscaled_in_float32_leaf_by_leaf() -> None:
    scaling = optim.dynamic_loss_scale(initial=4.0)
    gradients = {"half": jnp.asarray([6e-8, jnp.inf], jnp.float16), "whole": jnp.asarray([2.0, jnp.nan])}
    found = scaling.unscale(scaling.init(), gradients)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(jnp.float32)}
    np.testing.assert_allclose(found["half"], [2.0**-26, np.inf])
    np.testing.assert_array_equal(found["whole"], [0.5, np.nan])


def test_no_scale_has_no_state_and_changes_nothing() -> None:
    scaling, loss = optim.no_loss_scale(), jnp.float32(3.0)
    assert scaling.init() == scaling.update((), jnp.asarray(False)) == ()
    assert scaling.scale((), loss) is scaling.unscale((), loss) is loss


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": 0.5}, r"initial must lie in \[minimum, maximum\] = \[1.0, 16777216.0\], got 0.5"),
        ({"initial": float("nan")}, r"initial must lie in .*, got nan"),
        ({"minimum": 0.0}, "minimum must be positive and finite, got 0.0"),
        ({"growth": 1.0}, r"growth must lie in \(1, inf\), got 1.0"),
        ({"backoff": 1.0}, r"backoff must lie in \(0, 1\), got 1.0"),
        ({"interval": 0}, "interval must be at least 1, got 0"),
    ],
)
def test_scales_that_cannot_work_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        optim.dynamic_loss_scale(**options)  # type: ignore[arg-type]  # wrong ones on purpose


def test_the_state_is_two_scalars_that_a_checkpoint_keeps() -> None:
    state = optim.dynamic_loss_scale(initial=8.0).init()
    assert isinstance(state, LossScaleState)
    assert [(leaf.shape, str(leaf.dtype)) for leaf in state] == [((), "float32"), ((), "int32")]
