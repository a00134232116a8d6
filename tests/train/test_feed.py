import jax
import numpy as np
import pytest

from fjdl.errors import UsageError
from fjdl.models import MLP
from fjdl.train.feed import epochs
from fjdl.train.program import Program
from fjdl.train.recipe import Recipe
from fjdl.train.resident import place
from fjdl.train.result import measure
from tests.support import assert_trees_close
from tests.train.toy import mesh, noise, program, quick, recipe, splits

RESIDENT, STREAMED = splits(), splits()
STREAMED = type(STREAMED)(
    name=STREAMED.name,
    train=STREAMED.train._replace(streamed=True),
    validation=STREAMED.validation._replace(streamed=True),
    test=STREAMED.test._replace(streamed=True),
    classes=STREAMED.classes,
)


@pytest.fixture(scope="module")
def made() -> tuple[Recipe, Program]:
    chosen = recipe(model=quick(MLP(hidden=(16,), classes=10, dropout=0.3)), augment=noise, ema=0.9)
    return chosen, program(chosen, count=4)


def test_a_streamed_source_trains_as_one_on_the_devices_does(made: tuple[Recipe, Program]) -> None:
    chosen, compiled = made
    outcomes = []
    for data in (RESIDENT, STREAMED):
        epoch, state, told = epochs(chosen, compiled, data.train, mesh(4)), compiled.init(), []
        with jax.transfer_guard("disallow"):
            for done in (0, 4):
                state, report = epoch(state, done)
                told.append(report)
        outcomes.append((state, told))
    assert_trees_close(outcomes[0], outcomes[1], rtol=1e-5, atol=1e-6)
    assert int(outcomes[1][0].step) == 8


def test_a_streamed_source_is_measured_as_one_on_the_devices_is(made: tuple[Recipe, Program]) -> None:
    _, compiled = made
    state = compiled.init()
    resident, streamed = (measure(compiled.evaluator, state, data.test) for data in (RESIDENT, STREAMED))
    np.testing.assert_array_equal(resident["confusion"], streamed["confusion"])
    np.testing.assert_allclose(resident["loss"], streamed["loss"], rtol=1e-6)


def test_an_epoch_can_be_taken_up_where_a_run_left_it(made: tuple[Recipe, Program]) -> None:
    chosen, compiled = made
    epoch = epochs(chosen, compiled, STREAMED.train, mesh(4))
    first, _ = epoch(compiled.init(), 0)
    again, _ = epoch(compiled.init(), 0)
    once, _ = epoch(first, 4)
    twice, _ = epochs(chosen, compiled, STREAMED.train, mesh(4))(again, 4)
    assert_trees_close(once, twice, rtol=0, atol=0)


def test_a_streamed_source_is_not_placed_on_the_devices() -> None:
    with pytest.raises(UsageError, match="must fit on the device"):
        place(STREAMED.train, mesh())
