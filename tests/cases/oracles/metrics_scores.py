"""What scores of classes equal, in NumPy and scikit-learn."""

from typing import Any

import numpy as np
import sklearn.metrics as sk


def of_numpy(function: Any) -> Any:
    return lambda *arrays: function(*map(np.asarray, arrays))


def rates_one_pair_at_a_time(matrix: Any) -> Any:
    counted = np.zeros((4, 3))
    for c in range(3):
        for i in range(3):
            for j in range(3):
                place = {(True, True): 0, (False, True): 1, (True, False): 2, (False, False): 3}[i == c, j == c]
                counted[place, c] += matrix[i, j]
    tp, fp, fn, tn = counted
    per_class = (
        tp / (tp + fp + fn), tn / (tn + fp), tn / (tn + fn), fp / (fp + tn), fn / (fn + tp),
        5 * tp / (5 * tp + 4 * fn + fp), tp / (tp + fn), tp / (tp + fp),
    )  # fmt: skip
    return per_class, tuple(counted), np.array([[tn.sum(), fp.sum()], [fn.sum(), tp.sum()]])


def agreements_by_sklearn(y_true: Any, y_pred: Any, weights: Any = None) -> Any:
    return (
        sk.balanced_accuracy_score(y_true, y_pred, sample_weight=weights),
        sk.balanced_accuracy_score(y_true, y_pred, sample_weight=weights, adjusted=True),
        sk.matthews_corrcoef(y_true, y_pred, sample_weight=weights),
        sk.cohen_kappa_score(y_true, y_pred, sample_weight=weights),
        sk.cohen_kappa_score(y_true, y_pred, weights="linear", sample_weight=weights),
        sk.cohen_kappa_score(y_true, y_pred, weights="quadratic", sample_weight=weights),
    )


def agreements_of_pairs(matrix: Any) -> Any:
    y_true, y_pred = np.indices(matrix.shape)
    return agreements_by_sklearn(y_true.ravel(), y_pred.ravel(), np.ravel(matrix))


def fractions_by_sklearn(y_true: Any, y_pred: Any, w: Any) -> Any:
    return tuple(f(y_true, y_pred, sample_weight=w) for f in (sk.accuracy_score, sk.zero_one_loss, sk.hamming_loss))


def top_k_by_sorting(y_true: Any, y_score: Any) -> Any:
    ranks = [list(np.argsort(-row)).index([2, 5, 9, 12].index(y)) for y, row in zip(y_true, y_score, strict=True)]
    return np.array(ranks) < 2, np.mean(np.array(ranks) < 2), np.mean(np.array(ranks) >= 3)


def by_class_of_sklearn(y_true: Any, y_pred: Any) -> Any:
    return (
        sk.confusion_matrix(y_true, y_pred, labels=(2, 0)),
        sk.precision_score(y_true, y_pred, labels=(0, 2), average="micro", zero_division=1.0),
        sk.recall_score(y_true, y_pred, labels=(0, 2, 1), average=None),
        np.mean([np.mean(y_pred[y_true != c] != c) for c in range(3)]),
        sk.f1_score(y_true, y_pred, labels=(1, 2, 3), average="weighted", zero_division=0),
        sk.fbeta_score(y_true, y_pred, beta=0.5, labels=range(3), average="macro"),
    )


def divided_by_numpy(matrix: Any) -> Any:
    return matrix / matrix.sum(1, keepdims=True), matrix / matrix.sum(0), matrix / matrix.sum()


def of_indicators_by_sklearn(t: Any, p: Any, w: Any) -> Any:
    return (
        sk.jaccard_score(t, p, average="samples", sample_weight=w, zero_division=0),
        sk.f1_score(t, p, average="macro", labels=(2, 0), zero_division=0),
        sk.multilabel_confusion_matrix(t, p, sample_weight=w),
        sk.multilabel_confusion_matrix(t, p, sample_weight=w, samplewise=True),
        np.array([2 * (a & b).sum() / max((a + b).sum(), 1) for a, b in zip(t, p, strict=True)]),
        sk.recall_score(t, p, average="weighted", zero_division=0),
    )
