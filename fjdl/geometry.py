"""Sizes of sliding windows: strides, padding and output shapes, shared by all that slides.

Sizes that `jax.export` leaves open are taken too; what cannot be known of them is not refused.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, overload

from jax.core import max_dim
from jax.extend.core import InconclusiveDimensionOperation

Sides = tuple[int, int]  # pixels before and after an axis

Single = int | tuple[int]
Pair = int | tuple[int, int]
Triple = int | tuple[int, int, int]

Pads = tuple[Sides, Sides]
Padding1D = Literal["SAME", "VALID"] | int | tuple[Sides]
Padding = Literal["SAME", "VALID"] | int | Pads
Padding3D = Literal["SAME", "VALID"] | int | tuple[Sides, Sides, Sides]

# What convolutions take too: the image goes on beyond its edge, or all zeros lie before a sequence.
ConvPadding1D = Literal["SAME", "VALID", "CIRCULAR", "REFLECT", "REPLICATE", "CAUSAL"] | int | tuple[Sides]
ConvPadding = Literal["SAME", "VALID", "CIRCULAR", "REFLECT", "REPLICATE"] | int | Pads
ConvPadding3D = Literal["SAME", "VALID", "CIRCULAR", "REFLECT", "REPLICATE"] | int | tuple[Sides, Sides, Sides]
AnyPadding = Literal["SAME", "VALID", "CIRCULAR", "REFLECT", "REPLICATE", "CAUSAL"] | int | tuple[Sides, ...]


class Axis(NamedTuple):
    """Windows along one spatial axis of a channels-last array."""

    size: int  # of the image
    window: int
    stride: int
    padding: Sides
    dilation: int
    output: int  # positions of the window
    position: int  # of the axis in the shape, counted from its end: -2 for the last spatial axis

    @property
    def reach(self) -> int:
        """Pixels from the first tap of a window to the last."""
        return self.dilation * (self.window - 1)

    @property
    def missing(self) -> Sides:
        """Pixels before and after the image that windows reach."""
        end = (self.output - 1) * self.stride + self.reach + 1
        return self.padding[0], max_dim(end - self.padding[0] - self.size, 0)

    @property
    def tiled(self) -> bool:
        """Whether the windows lie side by side, inside of the image."""
        return self.stride == self.window and self.dilation == 1 and self.missing == (0, 0)

    def met(self, tap: int) -> slice:
        """The pixels of the padded axis that a tap meets, one for each position of the window."""
        first = tap * self.dilation
        return slice(first, first + (self.output - 1) * self.stride + 1, self.stride)


def slide(
    size: tuple[int, ...],
    *,
    window: int | tuple[int, ...],
    stride: int | tuple[int, ...] = 1,
    padding: AnyPadding = "VALID",
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
) -> tuple[Axis, ...]:
    """Windows along each axis of an image; raises `ValueError` for impossible options and where they do not fit.

    `ceil_mode` adds a last window that leaves the image, unless it would start in the padding after it.
    """
    extent, steps, spacing = (
        per_axis(name, value, axes=len(size))
        for name, value in (("window", window), ("stride", stride), ("dilation", dilation))
    )
    pads = explicit_padding(padding, size=size, window=extent, stride=steps, dilation=spacing)
    return tuple(
        Axis(*axis, output=_count(*axis, ceil_mode=ceil_mode), position=i - len(size) - 1)
        for i, axis in enumerate(zip(size, extent, steps, pads, spacing, strict=True))
    )


def _count(size: int, window: int, stride: int, sides: Sides, dilation: int, *, ceil_mode: bool) -> int:
    """Positions of the window along one axis."""
    low, high = sides
    room = (low, high + stride - 1) if ceil_mode else sides
    count = output_size(size, window=window, stride=stride, padding=room, dilation=dilation)
    beyond = ceil_mode and count > 1 and (count - 1) * stride >= low + size
    return count - beyond


def certain(claim: Callable[[], bool]) -> bool:
    """Whether the claim about sizes holds, for all that `jax.export` leaves open."""
    try:
        return claim()
    except InconclusiveDimensionOperation:
        return False


def per_axis(name: str, value: int | tuple[int, ...], *, axes: int) -> tuple[int, ...]:
    """`value` for each of the spatial `axes`; raises `ValueError` unless all are at least 1."""
    each = value if isinstance(value, tuple) else (value,) * axes
    if len(each) != axes:
        raise ValueError(f"{name} must be one number or {axes}, got {value}")
    if any(certain(lambda n=n: n < 1) for n in each):
        raise ValueError(f"{name} must be at least 1, got {value}")
    return each


def pair(name: str, value: Pair) -> tuple[int, int]:
    """`value` for both spatial axes; raises `ValueError` unless both are at least 1."""
    rows, columns = per_axis(name, value, axes=2)
    return rows, columns


@overload
def explicit_padding(
    padding: Padding,
    *,
    size: tuple[int, int],
    window: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> Pads: ...


@overload
def explicit_padding(
    padding: AnyPadding,
    *,
    size: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[Sides, ...]: ...


def explicit_padding(
    padding: AnyPadding,
    *,
    size: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[Sides, ...]:
    """Pixels added before and after each spatial axis, of zeros or of the image.

    Raises `ValueError` for negative ones, for more of them than the image can give, and for "CAUSAL" on several axes.
    """
    if padding == "SAME":
        return tuple(_same(*axis) for axis in zip(size, window, stride, dilation, strict=True))
    if padding == "CAUSAL":
        return _causal(window, dilation)
    if padding in ("CIRCULAR", "REFLECT", "REPLICATE"):
        return tuple(_around(padding, *axis) for axis in zip(size, window, dilation, strict=True))
    number = 0 if padding == "VALID" else padding
    sides = number if isinstance(number, tuple) else ((number, number),) * len(size)
    if any(certain(lambda side=side: side < 0) for axis in sides for side in axis):
        raise ValueError(f"padding must not be negative, got {padding}")
    return sides


def _same(size: int, window: int, stride: int, dilation: int) -> Sides:
    total = max_dim((-(-size // stride) - 1) * stride + dilation * (window - 1) + 1 - size, 0)
    return (total // 2, total - total // 2)


def _causal(window: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[Sides, ...]:
    if len(window) != 1:
        raise ValueError(f"padding 'CAUSAL' must be that of a sequence, got {len(window)} axes")
    return ((dilation[0] * (window[0] - 1), 0),)


def _around(name: str, size: int, window: int, dilation: int) -> Sides:
    """Half of what the window reaches on each side, the odd pixel at the end: "SAME" of stride 1."""
    reach = dilation * (window - 1)
    most = reach - reach // 2
    least = {"CIRCULAR": most, "REFLECT": most + 1, "REPLICATE": 1}[name] if most else 0
    if certain(lambda: size < least):
        raise ValueError(
            f"padding {name!r} must find at least {least} pixels along an axis for window {window} "
            f"(dilation {dilation}), got {size}"
        )
    return reach // 2, most


def output_size(size: int, *, window: int, stride: int, padding: Sides, dilation: int = 1) -> int:
    """Positions of a window along one axis: floor((size + padding - dilation (window - 1) - 1) / stride) + 1.

    Raises `ValueError` where the window does not fit.
    """
    room = size + sum(padding) - dilation * (window - 1) - 1
    if certain(lambda: room < 0):
        raise ValueError(
            f"the window must fit into the padded image, got window {window} (dilation {dilation}) "
            f"on size {size} with padding {padding}"
        )
    return room // stride + 1


def transposed_size(
    size: int, *, window: int, stride: int, padding: Sides, dilation: int = 1, output_padding: int = 0
) -> int:
    """Smallest image on which a window has `size` positions, and `output_padding` more pixels.

    It is stride (size - 1) + dilation (window - 1) + 1 - padding + output_padding, the inverse of `output_size`.
    Raises `ValueError` for an `output_padding` outside [0, stride), which would change the number of positions, and
    for padding that leaves no pixel.
    """
    if not 0 <= output_padding < stride:
        raise ValueError(f"output_padding must lie in [0, stride), got {output_padding} and stride {stride}")
    pixels = stride * (size - 1) + dilation * (window - 1) + 1 - sum(padding) + output_padding
    if certain(lambda: pixels < 1):
        raise ValueError(f"padding must leave at least one pixel, got padding {padding} of {pixels + sum(padding)}")
    return pixels


def check_groups(kernel: tuple[int, ...], *, channels: int, groups: int) -> None:
    """Raises `ValueError` unless a kernel `[..., channels / groups, outputs]` is not empty and fits the channels."""
    if 0 in kernel:
        raise ValueError(f"kernel must have no empty axis, got shape {kernel}")
    *_, within, outputs = kernel
    if groups < 1 or within * groups != channels or outputs % groups:
        raise ValueError(
            f"groups must divide the channels and kernel must be [..., c_in / groups, c_out], got groups={groups}, "
            f"{channels} input channels and a kernel of shape {kernel}"
        )
