"""Ranges of activations, found by looking at batches: pure functions over a state that merges, as metrics are.

`compute` gives a `Range`, from which `affine_grid(*found)` or `symmetric_grid(found.largest)` makes a grid. May import
`fjdl.quant` and what `fjdl.quant` may.

>>> from fjdl.quant import affine_grid, ranges
>>> calibrator = ranges.minmax()
>>> state = calibrator.update(calibrator.init(), jnp.array([0.5, 2.0]))
>>> state = calibrator.merge(state, calibrator.update(calibrator.init(), jnp.array([-1.0])))
>>> calibrator.compute(state)
Range(low=Array(-1., dtype=float32), high=Array(2., dtype=float32))
"""

from fjdl.quant.ranges.base import Calibrator, Range, range_of
from fjdl.quant.ranges.divergence import kl_optimal
from fjdl.quant.ranges.error import mse_optimal
from fjdl.quant.ranges.limits import fixed, minmax, moving_average
from fjdl.quant.ranges.percentile import percentile

__all__ = [
    "Calibrator",
    "Range",
    "fixed",
    "kl_optimal",
    "minmax",
    "moving_average",
    "mse_optimal",
    "percentile",
    "range_of",
]


def __dir__() -> list[str]:
    return __all__
