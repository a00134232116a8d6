import numpy as np

from fjdl.metrics import confident_joint, label_suspects

PROBABILITIES = np.array(
    [
        [0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.05, 0.9, 0.05], [0.8, 0.1, 0.1],
        [0.1, 0.2, 0.7], [0.1, 0.1, 0.8], [0.4, 0.3, 0.3], [0.2, 0.5, 0.3],
    ],
    np.float32,
)  # fmt: skip
LABELS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 1])


def test_what_cleanlab_finds() -> None:
    """`compute_confident_joint(LABELS, PROBABILITIES, calibrate=False)` and `find_label_issues` of cleanlab 2.9.0."""
    np.testing.assert_array_equal(confident_joint(PROBABILITIES, LABELS), [[2, 1, 0], [1, 2, 0], [0, 0, 2]])
    assert np.flatnonzero(label_suspects(PROBABILITIES, LABELS)).tolist() == [2, 5]


def test_a_class_that_no_label_names_takes_no_example() -> None:
    joint = confident_joint(np.array([[0.1, 0.9], [0.2, 0.8]], np.float32), np.array([0, 0]))
    np.testing.assert_array_equal(joint, [[1, 0], [0, 0]])
