"""Rows of fjdl.metrics: curves over thresholds, areas under them, and confidence intervals."""

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.stats
import sklearn.metrics as sk

from fjdl.metrics.base import measure
from fjdl.metrics.ranking import areas, curves, delong, interpolated_precision, ranks, score_store
from fjdl.metrics.uncertainty import beta, bootstrap, intervals
from tests.cases.case import Case, f32, i32, inputs, key, labels, normal, uniform

INF, NAN = np.inf, np.nan
LABEL, SCORE, WEIGHT = i32(0, 0, 1, 1), f32(0.1, 0.4, 0.35, 0.8), f32(1, 2, 3, 4)
EMPTY = i32()[:0], f32()[:0]
NUMBERS = LABEL, f32(0, NAN, 1, 1)
THRESHOLDS = np.array([-0.5, 0.0, 0.5], np.float32)


def shuffled(*values: int) -> Any:
    return lambda rng: rng.permutation(np.array(values, np.int32))


def rising(*shape: int) -> Any:
    return lambda rng: np.sort(rng.uniform(0, 1, shape)).astype(np.float32)


BINARY = inputs(shuffled(*LABEL), normal(4))
CLASSES = inputs(shuffled(0, 0, 1, 1, 2, 2), uniform(6, 3))
CLASS, ONE_HOT = i32(0, 0, 1, 1, 2, 2), np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2]]


def weigh(function: Any) -> Any:
    """The function of labels, scores and sample weights by position."""
    return lambda y, x, w: function(y, x, sample_weight=w)


def average_of_defined(values: Any, weights: Any) -> Any:
    return areas.average_defined(values, weights=weights)[0]


def number_of_defined(values: Any) -> Any:
    return areas.average_defined(values)[1]


def cumulative_counts(y: Any, x: Any) -> Any:
    return ranks.cumulative(ranks.is_positive(y), x, ranks.example_weights(x, None)).positives


def keys_and_back(x: Any) -> Any:
    return ranks.scores_of(ranks.sort_keys(x))


def sum_of_places(y: Any, x: Any) -> Any:
    counted = jnp.ones(x.shape, bool)
    return ranks.sum_over_positives(ranks.is_positive(y), x, counted, lambda at: at.below.astype(jnp.float32))


def binned_area(scores: Any, y: Any) -> Any:
    return score_store.roc_auc_from(measure(score_store.score_histogram(THRESHOLDS), scores, y))


def sampled_mean(key: Any, x: Any) -> Any:
    return bootstrap.bootstrap_distribution(key, jnp.mean, x, resamples=4, batch_size=4)


def interval_of_mean(key: Any, x: Any) -> Any:
    return bootstrap.bootstrap_interval(key, jnp.mean, x, resamples=4, method="percentile", batch_size=4)


def covariance_of_two(y: Any, a: Any, b: Any) -> Any:
    return delong.delong_covariance(y, jnp.stack([a, b], axis=1))


def highest_at(count: int) -> Any:
    """The mean of the highest precision among points of at least each recall, one recall at a time."""

    def oracle(recall: Any, precision: Any) -> Any:
        points = list(zip(recall, precision, strict=True))
        return np.mean([max([p for r, p in points if r >= i / (count - 1)], default=0) for i in range(count)])

    return oracle


def under_the_envelope(recall: Any, precision: Any) -> Any:
    return sum(width * max(precision[i:]) for i, width in enumerate(np.diff(recall, prepend=0)))


def wald(successes: Any, count: Any) -> Any:
    p = successes / count
    return tuple(np.clip(scipy.stats.norm(p, np.sqrt(p * (1 - p) / count)).interval(0.95), 0, 1))


def agresti_coull(successes: Any, count: Any) -> Any:
    added = scipy.stats.norm.ppf(0.975) ** 2
    return wald(successes + added / 2, count + added)


HISTOGRAM = inputs(uniform(2, 2, low=1.0, high=9.0))
COUNTS = inputs(uniform(2, low=1, high=8), uniform(2, low=9, high=9.5))
NOTHING = (f32(0, 0), f32(0, 0)), (f32(0, 0), f32(1, 1))

CASES: list[Case] = [
    Case(ranks.is_positive, inputs(labels(4, classes=3)), result=None, oracle=lambda y: y == 1),
    Case(ranks.example_weights, inputs(normal(4), labels(4, classes=3)), result=None, oracle=lambda x, w: w),
    Case(ranks.sort_keys, inputs(normal(4)), result=None),
    Case(keys_and_back, inputs(normal(4)), result="float32", oracle=lambda x: x,
         edges=(((f32(-0.0, INF, -INF, 3e38),), f32(0, INF, -INF, 3e38)),)),
    Case(ranks.search, inputs(lambda rng: i32(0, 2, 2, 3), labels(4, classes=5)), result=None,
         oracle=lambda x, k: (np.searchsorted(x, k), np.searchsorted(x, k, side="right"))),
    Case(cumulative_counts, BINARY, result=None, edges=(((LABEL, SCORE), i32(1, 1, 2, 2)),)),
    Case(sum_of_places, BINARY, result="float32", edges=(((LABEL, SCORE), 4),)),
    Case(curves.roc_curve, BINARY, result="float32", oracle=partial(sk.roc_curve, drop_intermediate=False),
         edges=(((LABEL, f32(0, 0, 0, 0)), (f32(0, 1, 1, 1, 1), f32(0, 1, 1, 1, 1), f32(INF, 0, 0, 0, 0))),
                (NUMBERS, (f32(*[NAN] * 5),) * 3), (EMPTY, (f32(NAN), f32(NAN), f32(INF)))),
         errors=(((LABEL, SCORE[:, None]), "y_score"),)),
    Case(curves.precision_recall_curve, BINARY, result="float32",
         edges=(((i32(0, 0, 0, 0), SCORE), (f32(0, 0, 0, 0, 1), f32(*[NAN] * 5), np.sort(SCORE))),
                (NUMBERS, (f32(*[NAN] * 5), f32(*[NAN] * 5), f32(*[NAN] * 4))),
                (EMPTY, (f32(1), f32(NAN), f32()[:0])))),
    Case(curves.auc, inputs(rising(3), normal(3)), (0, 1), "float32", oracle=sk.auc,
         edges=(((f32(1, 0.5, 0), f32(2, 3, 4)), 3), ((f32()[:0], f32()[:0]), 0))),
    Case(areas.roc_auc_score, BINARY, result="float32", oracle=sk.roc_auc_score, label="binary",
         edges=(((LABEL, SCORE), 0.75), ((LABEL, f32(1, 1, 1, 1)), 0.5), ((i32(1, 1, 1, 1), SCORE), NAN),
                ((i32(0, 0, 0, 0), SCORE), NAN), (NUMBERS, NAN), ((LABEL, f32(-INF, 0, INF, 0)), 0.875),
                ((LABEL, f32(0.0, -0.0, -0.0, 0.0)), 0.5),
                ((i32(-1, -1, 1, 1), SCORE), 0.75), ((i32(-1, 7, 1, 1), SCORE), NAN),
                (EMPTY, NAN)),
         errors=(((LABEL, SCORE[:, None]), "at least 2 classes"), ((LABEL, SCORE[:3]), "y_score"),
                 ((LABEL[:, None], SCORE), "y_true must be of shape"))),
    Case(weigh(areas.roc_auc_score), inputs(shuffled(*LABEL), normal(4), uniform(4)), result="float32",
         label="weighted auc", edges=(((LABEL, SCORE, WEIGHT), 5 / 7), ((LABEL, SCORE, f32(1, 1, 0, 0)), NAN),
                                      ((*NUMBERS, f32(1, 0, 1, 1)), 1), ((*EMPTY, f32()[:0]), NAN))),
    Case(areas.roc_auc_score, CLASSES, result="float32", label="ovr",
         edges=(((CLASS, ONE_HOT), 1), ((CLASS, np.where(ONE_HOT == 1, f32(NAN), ONE_HOT)), NAN),
                ((CLASS + 1, ONE_HOT), NAN), ((CLASS - 1, ONE_HOT), NAN), ((0 * CLASS, ONE_HOT), NAN))),
    Case(partial(areas.roc_auc_score, multi_class="ovo"), CLASSES, result="float32", label="ovo",
         edges=(((CLASS, ONE_HOT), 1), ((CLASS, np.where(ONE_HOT == 1, f32(NAN), ONE_HOT)), NAN),
                ((CLASS - 1, ONE_HOT), NAN), ((0 * CLASS, ONE_HOT), NAN))),
    Case(areas.average_precision_score, BINARY, result="float32", label="binary",
         edges=(((LABEL, SCORE), 5 / 6), ((LABEL, f32(1, 1, 1, 1)), 0.5), ((i32(0, 0, 0, 0), SCORE), NAN),
                ((i32(1, 1, 1, 1), SCORE), 1), (NUMBERS, NAN), (EMPTY, NAN))),
    Case(weigh(areas.average_precision_score), inputs(shuffled(*LABEL), normal(4), uniform(4)), result="float32",
         label="weighted precision",
         edges=(((LABEL, SCORE, WEIGHT), 4 / 7 + 3 / 7 * 7 / 9), ((*NUMBERS, f32(1, 0, 1, 1)), 1))),
    Case(average_of_defined, inputs(normal(3), uniform(3, low=0.5)), (0, 1), "float32", domain=(1e-3, 1e4),
         edges=(((f32(1, NAN, 4), f32(1, 1, 2)), 3), ((f32(NAN, NAN, NAN), f32(1, 1, 1)), NAN))),
    Case(number_of_defined, inputs(normal(2)), result=None, edges=(((f32(1, NAN),), 1),)),
    Case(interpolated_precision.voc_11_point_average_precision, inputs(rising(2), uniform(2)), (1,), "float32",
         oracle=highest_at(11), domain=(0, 1),
         edges=(((f32(0.2, 0.4), f32(1, 0.5)), 4 / 11), ((f32(NAN, 1), f32(1, 1)), NAN), ((f32()[:0], f32()[:0]), 0))),
    Case(interpolated_precision.coco_101_point_average_precision, inputs(rising(2), uniform(2)), (), "float32",
         oracle=highest_at(101), edges=(((f32(0.29, 0.58), f32(1, 0.5)), (30 + 29 / 2) / 101),)),
    Case(interpolated_precision.all_point_average_precision, inputs(rising(2), uniform(2)), (1,), "float32",
         oracle=under_the_envelope, domain=(0, 1),
         edges=(((f32(0.2, 0.4), f32(0.5, 1)), 0.4), ((f32(NAN, 1), f32(1, 1)), NAN), ((f32()[:0], f32()[:0]), 0))),
    Case(partial(measure, score_store.collected(areas.average_precision_score, capacity=5)),
         inputs(normal(4), shuffled(*LABEL)), result="float32", label="collected"),
    Case(binned_area, inputs(normal(4), shuffled(*LABEL)), result="float32",
         edges=(((f32(NAN, 1, 1, 1), LABEL), NAN), ((f32(0.5, 0.4, 0.3, 0.6), LABEL), 0.5))),
    Case(score_store.roc_auc_from, HISTOGRAM, (), "float32",
         edges=(((f32([3, 1], [1, 3]),), 0.75), ((f32([3, 1], [0, 0]),), NAN))),
    Case(score_store.roc_auc_error_from, HISTOGRAM, (), "float32",
         edges=(((f32([3, 1], [1, 3]),), 3 / 16), ((f32([2, 0], [0, 1]),), 0), ((f32([0, 0], [3, 1]),), NAN))),
    Case(score_store.average_precision_from, HISTOGRAM, (), "float32",
         edges=(((f32([3, 1], [1, 3]),), 3 / 4 * 3 / 4 + 1 / 4 * 4 / 8),)),
    Case(score_store.average_precision_error_from, HISTOGRAM, (), "float32",
         edges=(((f32([3, 1], [1, 3]),), 3 / 4 * 1 / 4 + 1 / 4 * 3 / 10), ((f32([4, 1], [0, 0]),), NAN))),
    Case(partial(beta.beta_quantile, probability=0.05), inputs(uniform(2, low=1, high=9), uniform(2, low=1, high=9)),
         result=None, edges=(((f32(1, 0), f32(1, 1)), (f32(0.05, NAN), f32(0.95, NAN))),)),
    Case(intervals.wald_interval, COUNTS, (0, 1), "float32", oracle=wald, edges=(NOTHING,), domain=None),
    Case(intervals.agresti_coull_interval, COUNTS, (0, 1), "float32", oracle=agresti_coull, edges=(NOTHING,),
         domain=None),
    Case(intervals.clopper_pearson_interval, inputs(lambda rng: f32(*rng.integers(0, 10, 2)), lambda rng: f32(9, 9)),
         result="float32", edges=(NOTHING, ((f32(0, 7), f32(7, 7)), (f32(0, 0.5903836), f32(0.4096164, 1)))),
         errors=(((i32(0, 7), i32(7)), "count"),)),
    Case(sampled_mean, inputs(key, normal(4)), result=None, vmappable=False),
    Case(interval_of_mean, inputs(key, normal(4)), result=None, vmappable=False),
    Case(covariance_of_two, inputs(shuffled(0, 0, 0, 1, 1, 1), normal(6), normal(6)), result="float32",
         edges=(((i32(1, 1, 0, 0, 0, 0), f32(2, 0, 1, 1, 1, 1), f32(9, 9, 1, 1, 1, 1)),
                 (f32(0.5, 1), f32([0.25, 0], [0, 0]))),)),
    Case(delong.delong_interval, BINARY, result="float32",
         edges=(((LABEL, f32(0, 1, 2, 3)), (1, 1)), (NUMBERS, (NAN, NAN)), ((i32(0, 0, 0, 1), SCORE), (NAN, NAN)))),
    Case(delong.delong_test, inputs(shuffled(*LABEL), normal(4), normal(4)), result="float32",
         edges=(((LABEL, SCORE, SCORE), (0, 1)), ((LABEL, f32(0, 1, 2, 3), f32(3, 2, 1, 0)), (INF, 0)),
                ((i32(0, 1, 1, 1), SCORE, -SCORE), (NAN, NAN)), ((*NUMBERS, SCORE), (NAN, NAN)))),
]  # fmt: skip
