import numpy as np
import pytest
from sklearn.preprocessing import MultiLabelBinarizer, PolynomialFeatures

from fjdl.functional import encoding


def test_multi_hot_equals_scikit_learn() -> None:
    padded = np.array([[0, 2, -1], [1, -1, -1], [-1, -1, -1], [2, 2, 0]])
    expected = MultiLabelBinarizer(classes=range(4)).fit_transform([[i for i in row if i >= 0] for row in padded])
    np.testing.assert_array_equal(encoding.multi_hot(padded, classes=4), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32])
def test_one_hot_of_small_dtypes_reaches_every_class(dtype: type) -> None:
    vectors = np.asarray(encoding.one_hot(np.array([0, 127], dtype), classes=300))
    assert vectors.argmax(axis=-1).tolist() == [0, 127]
    assert vectors.sum(axis=-1).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("degree", "interaction_only"), [(0, False), (1, False), (3, False), (2, True)])
def test_polynomial_features_equal_scikit_learn(degree: int, interaction_only: bool, rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 3)).astype(np.float32)
    expected = PolynomialFeatures(degree, interaction_only=interaction_only).fit_transform(x)
    actual = encoding.polynomial_features(x, degree=degree, interaction_only=interaction_only)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_w48_a_colour_image_of_32_by_32_is_a_vector_of_3072() -> None:
    assert encoding.flatten(np.zeros((2, 32, 32, 3), np.uint8)).shape == (2, 3072)


def test_an_empty_batch_flattens() -> None:
    assert encoding.flatten(np.zeros((0, 4, 2), np.float32)).shape == (0, 8)


def test_polynomial_degree_must_not_be_negative(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="degree must not be negative, got -1"):
        encoding.polynomial_features(np.ones((2, 2), np.float32), degree=-1)
