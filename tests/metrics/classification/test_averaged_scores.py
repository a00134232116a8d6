import jax
import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl.metrics.classification import averaged_scores, label_scores, probabilities

NAN = np.nan


def test_labels_are_inferred_from_concrete_arrays_and_asked_for_under_jit():
    y_true, y_pred = np.array([4, 7, 7, 9]), np.array([4, 7, 9, 9])
    assert averaged_scores.f1_score(y_true, y_pred, average="macro") == pytest.approx(
        sk.f1_score(y_true, y_pred, average="macro")
    )
    with pytest.raises(ValueError, match=r"^labels must be given where y_true and y_pred are traced"):
        jax.jit(lambda *y: averaged_scores.f1_score(*y, average="macro"))(y_true, y_pred)


def test_binary_scores_need_no_labels_under_jit():
    y_true, y_pred = np.array([0, 1, 1, 0]), np.array([1, 1, 0, 0])
    for pos_label in (0, 1):
        result = jax.jit(lambda *y, p=pos_label: averaged_scores.precision_score(*y, pos_label=p))(y_true, y_pred)
        assert result == sk.precision_score(y_true, y_pred, pos_label=pos_label)


def test_unknown_averages_and_weights_are_refused():
    y = np.array([0, 1])
    with pytest.raises(ValueError, match=r"^f1_score: argument `average` must be .*, got 'mean'$"):
        averaged_scores.f1_score(y, y, average="mean")
    with pytest.raises(ValueError, match=r"^cohen_kappa_score: argument `weights` must be .*, got 'cubic'$"):
        label_scores.cohen_kappa_score(y, y, weights="cubic")


def test_labels_and_predictions_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"^recall_score: argument `y_pred` must be "):
        averaged_scores.recall_score(np.array([0, 1]), np.array([0, 1, 1]))


def test_indicator_columns_must_exist():
    y = np.eye(3, dtype=int)
    with pytest.raises(ValueError, match=r"^labels must be columns in \[0, 3\), got \(0, 3\)$"):
        averaged_scores.jaccard_score(y, y, average="macro", labels=(0, 3))


def test_weighted_average_without_examples_of_the_labels_is_the_plain_mean_as_in_scikit_learn():
    y_true, y_pred, options = np.array([0, 0]), np.array([1, 2]), {"labels": (1, 2, 3), "average": "weighted"}
    result = averaged_scores.jaccard_score(y_true, y_pred, zero_division=1.0, **options)
    assert result == pytest.approx(sk.jaccard_score(y_true, y_pred, zero_division=1.0, **options))


def test_k_below_one_is_refused():
    with pytest.raises(ValueError, match=r"^k must be at least 1, got 0$"):
        label_scores.top_k_error(np.array([0]), np.zeros((1, 2), np.float32), k=0)


def test_the_log_loss_of_certain_predictions_is_clipped_as_in_scikit_learn():
    y, p = np.array([0, 1, 1]), np.float32([0, 1, 0])
    assert probabilities.log_loss(y, p) == pytest.approx(sk.log_loss(y, p), rel=1e-6)
