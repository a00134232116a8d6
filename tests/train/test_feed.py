import jax
import numpy as np
import pytest

from fjdl.data.source import Splits
from fjdl.errors import UsageError
from fjdl.models import MLP
from fjdl.signals import StopRequest
from fjdl.train.feed import epochs
from fjdl.train.pace import Pace
from fjdl.train.program import Program
from fjdl.train.recipe import Recipe
from fjdl.train.resident import place
from fjdl.train.result import measure
from fjdl.tree import digest
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


@pytest.mark.by_day_on_pin(0)
def test_a_streamed_source_trains_as_one_on_the_devices_does(made: tuple[Recipe, Program]) -> None:
    chosen, compiled = made
    outcomes = []
    for data in (RESIDENT, STREAMED):
        epoch, state, told = epochs(chosen, compiled, data.train, mesh(4)), compiled.init(), []
        tally = compiled.single.start()
        with jax.transfer_guard("disallow"):
            for done in (0, 4):
                state, tally, _, report = epoch(state, tally, done, Pace(StopRequest()))
                told.append(report)
        outcomes.append((state, told))
    assert_trees_close(outcomes[0], outcomes[1], rtol=1e-5, atol=1e-6)
    assert int(outcomes[1][0].step) == 8


@pytest.mark.by_day_on_pin(1)
def test_a_streamed_source_is_measured_as_one_on_the_devices_is(made: tuple[Recipe, Program]) -> None:
    _, compiled = made
    state = compiled.init()
    resident, streamed = (measure(compiled.evaluator, state, data.test) for data in (RESIDENT, STREAMED))
    np.testing.assert_array_equal(resident["confusion"], streamed["confusion"])
    np.testing.assert_allclose(resident["loss"], streamed["loss"], rtol=1e-6)


def test_an_epoch_can_be_taken_up_where_a_run_left_it(made: tuple[Recipe, Program]) -> None:
    chosen, compiled = made
    epoch, pace = epochs(chosen, compiled, STREAMED.train, mesh(4)), Pace(StopRequest())
    first = epoch(compiled.init(), compiled.single.start(), 0, pace)
    again = epoch(compiled.init(), compiled.single.start(), 0, pace)
    once = epoch(first.state, first.tally, 4, pace)
    twice = epochs(chosen, compiled, STREAMED.train, mesh(4))(again.state, again.tally, 4, pace)
    assert_trees_close(once, twice, rtol=0, atol=0)


class Cutting(Pace):
    """Cuts an epoch after these steps, and is asked to stop at one of them."""

    def __init__(self, *cuts: int, stop: int = -1) -> None:
        super().__init__(StopRequest())
        self._cuts, self._asked = cuts, stop

    def until(self, step: int, end: int) -> int | None:
        return None if step == self._asked else min([cut for cut in self._cuts if cut > step], default=end)


@pytest.mark.parametrize("data", [RESIDENT, STREAMED], ids=["resident", "streamed"])
def test_where_an_epoch_is_cut_or_interrupted_changes_no_bit(made: tuple[Recipe, Program], data: Splits) -> None:
    chosen, compiled = made
    epoch, start = epochs(chosen, compiled, data.train, mesh(4)), compiled.single.start
    whole = epoch(compiled.init(), start(), 0, Cutting())
    cut = epoch(compiled.init(), start(), 0, Cutting(1, 3))
    before = epoch(compiled.init(), start(), 0, Cutting(3, stop=3))
    assert (before.step, before.report) == (3, None)
    assert int(before.state.step) == 3
    after = epoch(before.state, before.tally, 3, Cutting())
    for other in (cut, after):
        assert digest((whole.state, whole.report)) == digest((other.state, other.report))
    assert after.step == 4


def test_a_streamed_source_is_not_placed_on_the_devices() -> None:
    with pytest.raises(UsageError, match="must fit on the device"):
        place(STREAMED.train, mesh())
