"""A few examples are learned by heart, or one sentence says that they are not."""

import numpy as np

from experiments.overfit import few, first_of, overfit
from fjdl.data.orders import groups, lanes
from fjdl.data.source import from_arrays, to_arrays
from fjdl.optim import sgd
from tests.experiments.support import Command
from tests.train.toy import digit_arrays, recipe, splits


def test_a_model_that_can_learn_says_so(command: Command) -> None:
    outcome = command("overfit", "configs/iris_logistic.py", "--examples", 6, "--steps", 100, "--learning-rate", 0.5)
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    assert lines[0] == "6 examples of iris, at most 100 steps of the config's optimizer"
    assert lines[-1].startswith("model and gradient can learn: after ")
    assert lines[-1].endswith("accuracy 100 %)")


def test_a_rate_at_which_nothing_moves_is_a_failure_with_numbers_and_advice(command: Command) -> None:
    outcome = command("overfit", "configs/iris_logistic.py", "--examples", 6, "--steps", 4, "--learning-rate", 1e-9)
    assert outcome.status == 1
    first, *advice = outcome.err.splitlines()
    assert first.startswith("fjdl: the examples are not learned after 4 steps (loss 1.099 → 1.099, accuracy ")
    assert first.endswith(": the loss has hardly moved")
    assert len(advice) == 4


def test_too_few_examples_are_refused(command: Command) -> None:
    outcome = command("overfit", "configs/iris_logistic.py", "--examples", 0)
    assert (outcome.status, outcome.err) == (2, "fjdl: examples and steps must be at least 1, got 0 and 500\n")


def test_parameters_whose_gradient_is_zero_are_named() -> None:
    blank = np.zeros((100, 8, 8, 1), np.float32)
    data = splits(from_arrays({"image": blank, "label": digit_arrays()["label"][:100]}))
    found = overfit(
        recipe(splits=lambda: data, optimizer=lambda steps: sgd(0.0)), examples=4, steps=1, say=lambda line: None
    )
    assert found.words.endswith("; the first gradient is 0 in hidden1/kernel")


def test_the_examples_are_the_first_of_the_recipes_own_order() -> None:
    labels = np.arange(100) % 10
    grouped = recipe(order=groups(lambda: labels, each=4), batch_size=8)
    chosen = first_of(grouped, 100, 8)
    assert sorted(np.unique(labels[chosen], return_counts=True)[1].tolist()) == [4, 4]


def test_nothing_regularizes_and_each_example_begins_a_sequence() -> None:
    going_on = {"order": lanes(20), "evaluation_order": lanes(20), "batch_size": 20}
    small = few(recipe(**going_on, ema=0.9, augment=lambda key, batch: batch, accumulate=2), 6, 3)
    assert (small.ema, small.augment, small.accumulate, small.batch_size, small.epochs) == (None, None, 1, 6, 3)
    data = small.splits()
    assert to_arrays(data.train)["label"].tolist() == to_arrays(data.test)["label"].tolist()
    assert small.order.steps(6, 6) == 1
