import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.analysis.receptive import ReceptiveField, Window, receptive_field

CHAINS = [
    [Window(3)],
    [Window(3, padding=1), Window(3, padding=1), Window(3, padding=1)],
    [Window(7, stride=2, padding=3), Window(3, stride=2, padding=1), Window(3, padding=1)],
    [Window(3, dilation=2, padding=2), Window(2, stride=2), Window(3, dilation=4)],
    [Window(1, stride=2), Window(5, stride=3, padding=2), Window(2)],
]


def seen(windows: list[Window], *, output: int, size: int = 61) -> np.ndarray:
    """Positions of the input on which an output depends: where its gradient is not 0."""

    def run(x: jax.Array) -> jax.Array:
        for window in windows:
            x = jax.lax.conv_general_dilated(
                x,
                jnp.ones((1, 1, window.size)),
                (window.stride,),
                [(window.padding, 60)],
                rhs_dilation=(window.dilation,),
            )
        return x[0, 0, output]

    return np.flatnonzero(jax.jit(jax.grad(run))(jnp.ones((1, 1, size)))[0, 0])


@pytest.mark.parametrize("windows", CHAINS)
def test_gradients_reach_as_far_as_the_formula_says(windows: list[Window]) -> None:
    field = receptive_field(windows)
    for output in (0, 2):
        first = field.start + output * field.stride
        positions = seen(windows, output=output)
        assert (positions[0], positions[-1]) == (max(first, 0), first + field.size - 1)


def test_w42_stacked_3x3_windows_see_3_5_and_7() -> None:
    assert [receptive_field([Window(3)] * count).size for count in (1, 2, 3)] == [3, 5, 7]


def test_the_stem_of_a_resnet() -> None:
    stem = [Window(7, stride=2, padding=3), Window(3, stride=2, padding=1)]
    assert receptive_field(stem) == ReceptiveField(size=11, stride=4, start=-5)


def test_no_window_sees_one_position() -> None:
    assert receptive_field([]) == ReceptiveField(size=1, stride=1, start=0)


@pytest.mark.parametrize("window", [Window(0), Window(3, stride=0), Window(3, dilation=0), Window(3, padding=-1)])
def test_windows_that_make_no_sense_are_refused(window: Window) -> None:
    with pytest.raises(ValueError, match="size, stride and dilation must be at least 1 and padding must not be"):
        receptive_field([Window(3), window])
