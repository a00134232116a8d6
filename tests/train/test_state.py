import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.models import MLP
from fjdl.nn import pure
from fjdl.train.state import Best, Stream, TrainState, evaluated_params, init_state, remember, stream_key
from fjdl.tree import digest
from tests.train.toy import batch, first_state, recipe


def state(value: float = -math.inf, *, best: int = -1, wait: int = 0, step: int = 10) -> TrainState:
    number = jnp.int32
    return TrainState(
        step=number(step), params={"w": jnp.ones(2)}, stats={}, opt=(), ema=(), skipped=number(0), streak=number(0),
        best=Best(jnp.float32(value), number(best), number(wait)),
    )  # fmt: skip


def best_after(values: list[float], *, mode: str) -> tuple[float, int, int]:
    """What is remembered after evaluations at steps 0, 1, 2, ..."""
    current = state(-math.inf if mode == "max" else math.inf)
    for step, value in enumerate(values):
        current = remember(current._replace(step=jnp.int32(step)), jnp.float32(value), mode=mode)
    return float(current.best.value), int(current.best.step), int(current.best.wait)


NAN = math.nan
REMEMBERED = [
    ("max", [0.5], (0.5, 0, 0)),
    ("max", [0.5, 0.7, 0.6], (0.7, 1, 1)),
    ("min", [0.5, 0.7, 0.6], (0.5, 0, 2)),
    ("min", [0.5, 0.7, 0.4], (0.4, 2, 0)),
    ("max", [0.7, 0.7, 0.7], (0.7, 0, 2)),
    ("min", [0.7, 0.7], (0.7, 0, 1)),
    ("max", [0.5, NAN, 0.4], (0.5, 0, 2)),
    ("max", [NAN, NAN, 0.1], (0.1, 2, 0)),
    ("min", [NAN, 0.1, NAN], (0.1, 1, 1)),
    ("max", [NAN, NAN], (-math.inf, -1, 2)),
    ("min", [NAN], (math.inf, -1, 1)),
    ("max", [-math.inf, -math.inf, -1e30], (-1e30, 2, 0)),
    ("max", [-math.inf, -math.inf], (-math.inf, 0, 1)),
    ("min", [math.inf], (math.inf, 0, 0)),
]


@pytest.mark.parametrize(("mode", "values", "expected"), REMEMBERED)
def test_the_first_best_finite_result_is_remembered(
    mode: str, values: list[float], expected: tuple[float, int, int]
) -> None:
    value, step, wait = best_after(values, mode=mode)
    assert (np.float32(value), step, wait) == (np.float32(expected[0]), *expected[1:])


def test_remembering_changes_nothing_but_the_best() -> None:
    before = state()
    after = remember(before, jnp.float32(0.3), mode="max")
    assert digest(after._replace(best=before.best)) == digest(before)
    assert [leaf.dtype for leaf in after.best] == [jnp.float32, jnp.int32, jnp.int32]


def test_a_result_in_bfloat16_is_remembered_in_float32() -> None:
    assert remember(state(), jnp.bfloat16(0.5), mode="max").best.value.dtype == jnp.float32


def test_a_result_that_is_no_scalar_cannot_be_monitored() -> None:
    with pytest.raises(ValueError, match=r"^monitor must name a result that is a scalar, got shape \(10, 10\)$"):
        remember(state(), jnp.ones((10, 10)), mode="max")


def test_a_stream_is_the_seeds_key_folded_with_a_number_that_never_changes() -> None:
    assert {stream.name: int(stream) for stream in Stream} == {"INIT": 0, "ORDER": 1, "DROPOUT": 2, "AUGMENT": 3}
    expected = jax.random.fold_in(jax.random.key(7), 2)
    assert jax.random.key_data(stream_key(7, Stream.DROPOUT)).tolist() == jax.random.key_data(expected).tolist()


def test_no_two_streams_of_small_seeds_share_a_key() -> None:
    keys = {tuple(jax.random.key_data(stream_key(s, t)).tolist()) for s, t in itertools.product(range(3), Stream)}
    assert len(keys) == 12


@pytest.mark.parametrize(("mode", "worst"), [("max", -math.inf), ("min", math.inf)])
def test_before_training_nothing_is_counted_and_nothing_is_best(mode: str, worst: float) -> None:
    made = first_state(recipe(mode=mode), batch(1))
    assert (int(made.step), int(made.skipped), int(made.streak)) == (0, 0, 0)
    assert (float(made.best.value), int(made.best.step), int(made.best.wait)) == (worst, -1, 0)
    assert made.ema == ()
    assert {leaf.dtype for leaf in jax.tree.leaves((made.params, made.opt[0]))} == {jnp.dtype(jnp.float32)}


def test_the_seed_decides_the_initial_parameters_and_the_batch_does_not() -> None:
    model = pure(MLP(hidden=(4,), classes=10))
    first = first_state(recipe(seed=1, model=model), batch(1))
    same = first_state(recipe(seed=1, model=model), batch(5, seed=9))
    other = first_state(recipe(seed=2, model=model), batch(1))
    assert digest(first) == digest(same)
    assert digest(first.params) != digest(other.params)


def test_the_average_starts_as_a_copy_and_is_what_is_evaluated() -> None:
    made = first_state(recipe(ema=0.9), batch(1))
    assert digest(made.ema) == digest(made.params)
    moved = made._replace(ema=jax.tree.map(lambda p: p + 1, made.ema))
    assert evaluated_params(moved) is moved.ema
    assert evaluated_params(made._replace(ema=())) is made.params


def test_the_optimizer_is_told_the_number_of_steps() -> None:
    told = []

    def optimizer(steps: int):
        told.append(steps)
        return recipe().optimizer(steps)

    made = recipe(optimizer=optimizer)
    init_state(made, made.inputs(batch(1)), steps=123)
    assert told == [123]
