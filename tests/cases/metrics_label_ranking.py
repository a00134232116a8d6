"""Rows of fjdl.metrics that rank the labels of each example, and of the curve of detection errors."""

from functools import partial
from typing import Any

import numpy as np
import sklearn.metrics as theirs

from fjdl.metrics.base import measure
from fjdl.metrics.ranking import areas, curves, label_ranking
from tests.cases.case import Case, f32, i32, inputs, labels, normal, uniform

NAN, INF = np.nan, np.inf


def tied(*shape: int) -> Any:
    return lambda rng: rng.integers(0, 4, shape).astype(np.float32)


def gains(relevance: Any, scores: Any) -> Any:
    return (
        label_ranking.dcg_score(relevance, scores),
        label_ranking.dcg_score(relevance, scores, k=2, log_base=3.0),
        label_ranking.ndcg_score(relevance, scores),
        label_ranking.ndcg_score(relevance, scores, k=2),
    )


def gains_by_scikit_learn(relevance: Any, scores: Any) -> Any:
    return (
        theirs.dcg_score(relevance, scores),
        theirs.dcg_score(relevance, scores, k=2, log_base=3.0),
        theirs.ndcg_score(relevance, scores),
        theirs.ndcg_score(relevance, scores, k=2),
    )


def rankings(y_true: Any, y_score: Any) -> Any:
    return (
        label_ranking.label_ranking_average_precision_score(y_true, y_score),
        label_ranking.label_ranking_loss(y_true, y_score),
        label_ranking.coverage_error(y_true, y_score),
    )


def rankings_by_scikit_learn(y_true: Any, y_score: Any) -> Any:
    return (
        theirs.label_ranking_average_precision_score(y_true, y_score),
        theirs.label_ranking_loss(y_true, y_score),
        theirs.coverage_error(y_true, y_score),
    )


def over_batches(y_true: Any, y_score: Any) -> Any:
    makers = (
        label_ranking.ndcg(k=2), label_ranking.label_ranking_average_precision(), label_ranking.label_ranking_error(),
        label_ranking.coverage(),
    )  # fmt: skip
    return tuple(measure(metric, y_score, y_true) for metric in makers)


def over_batches_by_scikit_learn(y_true: Any, y_score: Any) -> Any:
    return theirs.ndcg_score(y_true, y_score, k=2), *rankings_by_scikit_learn(y_true, y_score)


def of_samples(module: Any) -> Any:
    """The scores of examples that have a label and lack one."""

    def scores(y_true: Any, y_score: Any) -> Any:
        area = module.roc_auc_score(y_true, y_score, average="samples")
        return area, module.average_precision_score(y_true, y_score, average="samples")

    return scores


def one_of_each(rng: np.random.Generator) -> np.ndarray:
    y = rng.integers(0, 2, (5, 4)).astype(np.int32)
    y[:, 0], y[:, 1] = 0, 1
    return y


def alternating(rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(np.arange(9, dtype=np.int32) % 2)


LABEL, SCORE = i32(0, 0, 1, 1), f32(0.1, 0.4, 0.35, 0.8)
NOTHING = np.zeros((0, 3), np.float32)
NONE_AND_ALL = i32([0, 0], [1, 1]), f32([1, 2], [3, 3])

CASES: list[Case] = [
    Case(gains, inputs(uniform(5, 4), tied(5, 4)), result="float32", label="gains",
         oracle=gains_by_scikit_learn,
         edges=(((NOTHING, NOTHING), (NAN,) * 4), ((f32([0, 0]), f32([1, 2])), (0, 0, 0, 0)),
                ((f32([1, 0]), f32([NAN, 2])), (NAN,) * 4), ((f32([-1, 1]), f32([2, 1])),
                (-1 + 1 / np.log2(3), -np.log(3) / np.log(2) + 1, NAN, NAN)))),
    Case(rankings, inputs(labels(5, 4, classes=2), tied(5, 4)), result="float32", label="label ranking",
         oracle=rankings_by_scikit_learn,
         edges=(((i32([1, 0, 1]), f32([0.5, 0.9, 0.1])), ((1 / 2 + 2 / 3) / 2, 1, 3)), (NONE_AND_ALL, (1, 0, 1)),
                ((i32([1, 0]), f32([NAN, 1])), (NAN,) * 3), ((i32([2, 0]), f32([2, 1])), (NAN,) * 3)),
         errors=(((i32([2, 0]), f32([2, 1])), "^y_true must hold booleans, or 0 and 1, or -1 and 1, got 0, 2$"),)),
    Case(over_batches, inputs(labels(5, 4, classes=2), tied(5, 4)), result="float32",
         oracle=over_batches_by_scikit_learn, edges=(((np.zeros((0, 3), np.int32), NOTHING), (NAN,) * 4),)),
    Case(of_samples(areas), inputs(one_of_each, tied(5, 4)), result="float32", label="samples",
         oracle=of_samples(theirs),
         edges=(((i32([0, 0], [1, 0]), f32([1, 2], [3, 2])), (1, 1)),),
         errors=(((LABEL, SCORE), r"^average must not be 'samples' without several labels, got y_true of shape "),)),
    Case(partial(areas.roc_auc_score, max_fpr=0.4), inputs(alternating, tied(9)), result="float32", label="partial",
         oracle=partial(theirs.roc_auc_score, max_fpr=0.4),
         edges=(((LABEL, SCORE), theirs.roc_auc_score(LABEL, SCORE, max_fpr=0.4)), ((LABEL, f32(1, 1, 1, 1)), 0.5),
                ((LABEL, f32(0, 1, 2, 3)), 1), ((i32(1, 1), f32(0, 1)), NAN)),
         errors=(((LABEL, np.zeros((4, 2), np.float32)), "^max_fpr must be None for several classes, got 0.4$"),)),
    Case(curves.det_curve, inputs(lambda rng: rng.permutation(LABEL), normal(4)), result="float32",
         edges=(((LABEL, SCORE), (f32(1, 0.5, 0.5, 0, 0), f32(0, 0, 0.5, 0.5, 1), f32(0.1, 0.35, 0.4, 0.8, INF))),
                ((LABEL, f32(0, 0, 0, 0)), (f32(1, 1, 1, 1, 0), f32(0, 0, 0, 0, 1), f32(0, 0, 0, 0, INF))),
                ((i32(1, 1), f32(0, 1)), (f32(NAN, NAN, NAN), f32(0, 0.5, 1), f32(0, 1, INF))))),
]  # fmt: skip
