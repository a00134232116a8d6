import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from jax import lax

from fjdl.geometry import check_groups, explicit_padding, output_size, pair, slide, transposed_size


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


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    window=st.integers(1, 3),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    padding=st.sampled_from(["SAME", 3, ((3, 4), (5, 3), (3, 3))]),
    dilation=st.integers(1, 2),
)
def test_windows_slide_along_any_number_of_axes(size, window, stride, padding, dilation):
    pads = padding if isinstance(padding, tuple) else ((padding, padding),) * 3
    if padding == "SAME":
        pads = tuple(lax.padtype_to_pads(size, [(window - 1) * dilation + 1] * 3, stride, "SAME"))
    image = np.empty([n + sum(sides) for n, sides in zip(size, pads, strict=True)])
    for i, axis in enumerate(slide(size, window=window, stride=stride, padding=padding, dilation=dilation)):
        assert (axis.size, axis.window, axis.stride, axis.dilation) == (size[i], window, stride[i], dilation)
        assert (axis.padding, axis.reach) == (pads[i], (window - 1) * dilation)
        assert axis.output == len(range(0, image.shape[i] - axis.reach, stride[i]))


@given(
    size=st.integers(1, 9),
    window=st.integers(1, 4),
    stride=st.integers(1, 4),
    padding=st.sampled_from([(0, 0), (1, 2), (3, 0)]),
    dilation=st.integers(1, 3),
    spare=st.integers(0, 3),
)
def test_the_transposed_size_has_so_many_positions(size, window, stride, padding, dilation, spare):
    options = {"window": window, "stride": stride, "padding": padding, "dilation": dilation}
    assume(stride * (size - 1) + dilation * (window - 1) + 1 > sum(padding))
    pixels = transposed_size(size, output_padding=spare % stride, **options)
    assert output_size(pixels, **options) == size
    smallest = transposed_size(size, **options)
    if smallest > 1 and output_room(smallest - 1, **options) >= 0:
        assert output_size(smallest - 1, **options) == size - 1


def output_room(size, *, window, stride, padding, dilation):
    return size + sum(padding) - dilation * (window - 1) - 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": (1, 1, 1)}, r"stride must be one number or 2, got \(1, 1, 1\)"),
        ({"window": (0, 1)}, r"window must be at least 1, got \(0, 1\)"),
        ({"padding": ((0, 0), (0, -1))}, "padding must not be negative"),
        ({"window": 6}, "the window must fit into the padded image, got window 6"),
    ],
    ids=str,
)
def test_impossible_windows_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        slide((5, 5), **{"window": 3, "stride": 1, "padding": 0, "dilation": 1} | options)


def test_groups_divide_the_channels():
    check_groups((3, 3, 2, 6), channels=4, groups=2)
    for kernel, groups in (((3, 3, 2, 5), 2), ((3, 3, 4, 6), 2), ((3, 3, 4, 6), 0)):
        with pytest.raises(ValueError, match=rf"groups must divide the channels .* got groups={groups}, 4 input"):
            check_groups(kernel, channels=4, groups=groups)


@pytest.mark.parametrize("padding", ["SAME", "VALID", 1])
def test_sizes_that_export_leaves_open_give_those_of_every_size(padding):
    def sizes(h, w):
        rows, columns = slide((h, w), window=(3, 2), stride=(2, 3), padding=padding, dilation=(1, 2))
        ends = explicit_padding(padding, size=(h, w), window=(3, 2), stride=(2, 3), dilation=(1, 2))
        wide = transposed_size(h, window=3, stride=2, padding=(1, 1))
        return jnp.asarray([*jax.tree.leaves((rows, columns)), wide, *pair("window", w), *ends[0], *ends[1]], jnp.int32)

    shape = jax.export.symbolic_shape("h, w", constraints=["h >= 4", "w >= 4"])
    exported = jax.export.export(jax.jit(lambda x: sizes(*x.shape)))(jax.ShapeDtypeStruct(shape, jnp.int8))
    np.testing.assert_array_equal(exported.call(jnp.zeros((7, 8), jnp.int8)), sizes(7, 8))


def test_a_size_left_open_is_refused_where_no_size_fits():
    (size,) = jax.export.symbolic_shape("size", constraints=["size <= 2"])
    with pytest.raises(ValueError, match="window must fit"):
        slide((size,), window=3)
