"""Average precision of an interpolated curve, in the three definitions of detection challenges, which differ."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.numerics import widened
from fjdl.typing import Array, Float, Scalar, typed


@typed
def voc_11_point_average_precision(recall: Float[Array, " points"], precision: Float[Array, " points"]) -> Scalar:
    """Mean over the recalls t = 0, 0.1, … 1 of the highest precision at a recall of at least t, or 0 without one.

    In [0, 1]. Points in any order, of which repeated ones change nothing: those of a ranking, without the point of
    recall 0 and precision 1 that `precision_recall_curve` adds. 0 without points, and NaN where a recall is NaN.
    Source: Everingham et al. 2010, as in Pascal VOC up to 2009.
    """
    return _mean_over_recalls(recall, precision, 11)


@typed
def coco_101_point_average_precision(recall: Float[Array, " points"], precision: Float[Array, " points"]) -> Scalar:
    """Mean over the recalls t = 0, 0.01, … 1 of the highest precision at a recall of at least t, or 0 without one.

    Points as for `voc_11_point_average_precision`. Source: Lin et al. 2014, arXiv:1405.0312. Equals the mean over the
    recalls of the precision of `pycocotools.cocoeval.COCOeval`, where no recall is within rounding of a t.
    """
    return _mean_over_recalls(recall, precision, 101)


@typed
def all_point_average_precision(recall: Float[Array, " points"], precision: Float[Array, " points"]) -> Scalar:
    """Area under the highest precision at a recall of at least r, over r: `Σ (R_i - R_{i-1}) max_{j≥i} P_j`.

    In [0, 1]. Points by rising recall, of which repeated ones change nothing: those of a ranking, best score first.
    Beyond the last recall the precision is 0. 0 without points, and NaN where a recall is NaN.
    Source: Pascal VOC from 2010 on (Everingham et al. 2015).
    """
    recall, precision = jnp.minimum(widened(recall), 1), widened(precision)
    envelope = lax.cummax(precision, reverse=True)
    return jnp.sum(jnp.diff(recall, prepend=jnp.zeros_like(recall[:1])) * envelope)


@partial(jax.jit, static_argnums=2)
def _mean_over_recalls(recall: Float[Array, " points"], precision: Float[Array, " points"], count: int) -> Scalar:
    """The mean over `count` recalls; i / (count - 1) is rounded once, as a recall i / (count - 1) is."""
    recall, precision = widened(recall), widened(precision)
    asked = jnp.arange(count, dtype=recall.dtype) / (count - 1)
    reached = recall[None] >= asked[:, None]
    best = jnp.max(jnp.where(reached, precision[None], 0), axis=1, initial=0)
    return jnp.where(jnp.any(jnp.isnan(recall)), jnp.nan, jnp.mean(best))
