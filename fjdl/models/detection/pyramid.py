"""A feature pyramid (Lin et al. 2017, arXiv:1612.03144), the neck between a backbone and the heads of a detector."""

from collections.abc import Callable, Sequence

from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.functional.resize import resize2d
from fjdl.nn import Conv
from fjdl.typing import Array

Part = Callable[..., linen.Module]


class FPN(linen.Module):
    """Features of one width on each level: those of the backbone, and below them what the coarser levels know.

    A 1 x 1 convolution brings each level to `width` channels; from the coarsest on the sum so far is repeated to the
    size of the next finer level and added to it; a 3 x 3 convolution follows on each level. `extra` coarser levels
    are 3 x 3 convolutions with stride 2 of the last, with a ReLU before each but the first (Lin et al. 2017,
    arXiv:1708.02002, levels 6 and 7). Equals torchvision's `FeaturePyramidNetwork` with `LastLevelP6P7(width, width)`.
    """

    width: int = 256
    extra: int = 0
    kernel_init: initializers.Initializer = initializers.glorot_uniform()

    @linen.compact
    def __call__(self, maps: Sequence[Array]) -> list[Array]:
        """Maps [n, h, w, channels] from fine to coarse to as many, and the extra ones, of [n, h, w, width]."""
        inner = [self._conv(1, name=f"inner{i}")(x) for i, x in enumerate(maps)]
        for i in range(len(inner) - 2, -1, -1):
            rows, columns = inner[i].shape[1:3]
            inner[i] = inner[i] + resize2d(inner[i + 1], size=(rows, columns), method="nearest")
        levels = [self._conv(3, name=f"outer{i}")(x) for i, x in enumerate(inner)]
        for i in range(self.extra):
            x = relu(levels[-1]) if i else levels[-1]
            levels.append(self._conv(3, stride=2, name=f"extra{i}")(x))
        return levels

    def _conv(self, window: int, *, stride: int = 1, name: str) -> Conv:
        return Conv(self.width, window, stride=stride, padding=window // 2, kernel_init=self.kernel_init, name=name)
