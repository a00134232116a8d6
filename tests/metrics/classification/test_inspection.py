import jax
import numpy as np

from fjdl.metrics.classification import inspection

LOGITS = np.float32([[2, 0], [5, 0], [0, 3], [0, 9]])


def test_masked_and_padded_examples_are_no_mistakes():
    mistakes = jax.jit(inspection.misclassified, static_argnames="k")(
        LOGITS, np.array([1, 1, 0, 0]), k=4, weights=np.float32([1, 0, 1, 0])
    )
    np.testing.assert_array_equal(mistakes.indices, [2, 0, -1, -1])
    np.testing.assert_array_equal(mistakes.valid, [True, True, False, False])


def test_a_perfect_classifier_makes_no_mistakes():
    mistakes = inspection.misclassified(LOGITS, np.array([0, 0, 1, 1]), k=2)
    np.testing.assert_array_equal(mistakes.indices, [-1, -1])
    np.testing.assert_array_equal(mistakes.predictions, [-1, -1])
    np.testing.assert_array_equal(mistakes.confidences, [0, 0])
    assert not mistakes.valid.any()


def test_the_generalization_gap_is_the_error_outside_less_that_inside():
    assert inspection.generalization_gap(0.25, 0.75) == 0.5
    np.testing.assert_array_equal(inspection.generalization_gap(np.array([1, 0]), np.array([0, 1])), [-1, 1])
