import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fjdl.plots import learning_curves

RECORDS: list[dict[str, Any]] = [
    {"epoch": 1, "step": 20, "train_loss": 1.5, "validation_loss": 1.4, "validation_accuracy": 0.50, "state": "a"},
    {"epoch": 2, "step": 40, "train_loss": 0.9, "validation_loss": 0.7, "validation_accuracy": 0.75, "state": "b"},
    {"epoch": 3, "step": 60, "train_loss": 0.4, "validation_loss": 0.8, "validation_accuracy": 0.90, "state": "c"},
]


def curves(axes: Axes) -> dict[str, Line2D]:
    """The lines of the data by their labels, without the mark of the best epoch."""
    return {str(line.get_label()): line for line in axes.get_lines() if line.get_linestyle() != ":"}


def marks(axes: Axes) -> list[float]:
    return [float(np.asarray(line.get_xdata())[0]) for line in axes.get_lines() if line.get_linestyle() == ":"]


def without(name: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != name} for record in RECORDS]


def test_losses_stand_left_in_nats_and_accuracy_right_in_percent() -> None:
    left, right = learning_curves(RECORDS, title="digits").axes
    assert (left.get_xlabel(), left.get_ylabel()) == ("epoch", "loss (nats)")
    assert (right.get_xlabel(), right.get_ylabel()) == ("epoch", "validation accuracy (%)")
    np.testing.assert_array_equal(curves(left)["training"].get_xydata(), [[1, 1.5], [2, 0.9], [3, 0.4]])
    np.testing.assert_array_equal(curves(left)["validation"].get_ydata(), [1.4, 0.7, 0.8])
    np.testing.assert_array_equal(curves(right)["accuracy"].get_ydata(), [50, 75, 90])


def test_what_was_measured_on_training_examples_is_dashed_beside_the_validation() -> None:
    records = [record | {"train_sample_loss": 0.3, "train_sample_accuracy": 0.95} for record in RECORDS]
    left, right = learning_curves(records, title="").axes
    assert list(curves(left)) == ["training", "training, after the epoch", "validation"]
    assert right.get_ylabel() == "accuracy (%)"
    assert {name: line.get_linestyle() for name, line in curves(right).items()} == {"training": "--", "validation": "-"}
    np.testing.assert_array_equal(curves(right)["training"].get_ydata(), [95, 95, 95])
    two = [record | {"validation_f1": 0.1, "train_sample_f1": 0.2} for record in records]
    axes = learning_curves(two, title="").axes[1]
    assert axes.get_ylabel() == "score, dashed: training (%)"
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["accuracy", "f1"]
    colours = [line.get_color() for line in axes.get_lines() if line.get_linestyle() != ":"]
    assert len(colours) == 4
    assert len(set(colours)) == 2


def test_the_title_is_shown() -> None:
    assert learning_curves(RECORDS, title="digits, seed 0").get_suptitle() == "digits, seed 0"


def test_the_loss_carries_the_unit_that_is_given() -> None:
    assert learning_curves(RECORDS, title="", loss_unit="cm²").axes[0].get_ylabel() == "loss (cm²)"


def test_the_lowest_validation_loss_is_marked_in_every_panel() -> None:
    left, right = learning_curves(RECORDS, title="").axes
    assert marks(left) == marks(right) == [2]
    legend = left.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation", "best (epoch 2)"]


def test_the_first_of_equal_validation_losses_is_marked() -> None:
    assert marks(learning_curves([*RECORDS, RECORDS[1] | {"epoch": 4, "step": 80}], title="").axes[0]) == [2]


def test_the_step_that_the_run_chose_is_marked_instead() -> None:
    assert marks(learning_curves(RECORDS, title="", best_step=60).axes[0]) == [3]


def test_nothing_is_marked_without_a_finite_validation_loss() -> None:
    assert marks(learning_curves(without("validation_loss"), title="").axes[0]) == []
    assert marks(learning_curves([RECORDS[0] | {"validation_loss": math.nan}], title="").axes[0]) == []


def test_steps_are_the_axis_where_a_record_lacks_its_epoch() -> None:
    left = learning_curves(without("epoch"), title="").axes[0]
    assert left.get_xlabel() == "step"
    np.testing.assert_array_equal(curves(left)["training"].get_xdata(), [20, 40, 60])


def test_metrics_of_other_units_have_their_own_panel() -> None:
    records = [record | {"validation_perplexity": 4.0, "validation_f1_macro": 0.5} for record in RECORDS]
    _, scores, others = learning_curves(records, title="").axes
    assert (scores.get_ylabel(), set(curves(scores))) == ("validation score (%)", {"accuracy", "f1 macro"})
    assert (others.get_ylabel(), set(curves(others))) == ("validation perplexity", {"perplexity"})
    np.testing.assert_array_equal(curves(others)["perplexity"].get_ydata(), [4, 4, 4])


def test_without_metrics_there_is_one_panel() -> None:
    assert len(learning_curves(without("validation_accuracy"), title="").axes) == 1


def test_a_record_may_lack_a_value() -> None:
    records = [RECORDS[0], {"epoch": 2, "step": 40, "train_loss": 0.9}, RECORDS[2]]
    np.testing.assert_array_equal(
        curves(learning_curves(records, title="").axes[0])["validation"].get_xydata(), [[1, 1.4], [3, 0.8]]
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_leaves_a_gap_and_is_never_the_best(value: float) -> None:
    records = [RECORDS[0], RECORDS[1] | {"validation_loss": value}, RECORDS[2]]
    figure = learning_curves(records, title="")
    np.testing.assert_array_equal(curves(figure.axes[0])["validation"].get_ydata(), [1.4, math.nan, 0.8])
    assert marks(figure.axes[0]) == [3]
    figure.savefig(io.BytesIO())


def test_a_single_record_is_a_visible_point_at_a_whole_epoch() -> None:
    figure = learning_curves(RECORDS[:1], title="")
    figure.savefig(io.BytesIO())
    assert curves(figure.axes[0])["training"].get_marker() == "o"
    assert all(float(tick).is_integer() for tick in figure.axes[0].get_xticks())


@pytest.mark.parametrize(
    ("records", "best_step", "message"),
    [
        ([], None, "records must not be empty, got 0 records"),
        ([{"epoch": 1, "step": 1, "loss": 2.0}], None, "records must hold train_loss or validation_loss"),
        (RECORDS, 30, "best_step must be the step of a record, got 30"),
    ],
)
def test_records_that_say_nothing_are_refused(
    records: Sequence[dict[str, Any]], best_step: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        learning_curves(records, title="", best_step=best_step)
