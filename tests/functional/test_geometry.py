import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import lax

from fjdl.functional.geometry import explicit_padding, output_size, pair


@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    window=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_same_padding_equals_jax_and_gives_the_size_over_the_stride_rounded_up(size, window, stride, dilation):
    pads = explicit_padding("SAME", size=size, window=window, stride=stride, dilation=dilation)
    spread = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    assert pads == tuple(lax.padtype_to_pads(size, spread, stride, "SAME"))
    for axis in (0, 1):
        rows = output_size(
            size[axis], window=window[axis], stride=stride[axis], padding=pads[axis], dilation=dilation[axis]
        )
        assert rows == -(-size[axis] // stride[axis])


@pytest.mark.parametrize(
    ("size", "window", "stride", "padding", "rows"),
    [
        (227, 11, 4, 0, 55),
        (55, 3, 2, 0, 27),
        (32, 5, 1, 0, 28),
        (28, 2, 2, 0, 14),
        (3, 3, 7, 0, 1),
        (224, 7, 2, 3, 112),
    ],
)
def test_output_sizes_of_well_known_layers(size, window, stride, padding, rows):
    assert output_size(size, window=window, stride=stride, padding=(padding, padding)) == rows


def test_numbers_pairs_and_explicit_padding():
    options = {"size": (5, 5), "window": (3, 3), "stride": (1, 1), "dilation": (1, 1)}
    assert pair("stride", 2) == (2, 2)
    assert pair("stride", (2, 3)) == (2, 3)
    assert explicit_padding("VALID", **options) == ((0, 0), (0, 0))
    assert explicit_padding(2, **options) == ((2, 2), (2, 2))
    assert explicit_padding(((1, 2), (3, 4)), **options) == ((1, 2), (3, 4))
