import numpy as np
import pytest

from fjdl.functional import embedding, encoding, linear, similarity

WORDS = ["Dog", "Cat", "Horse", "Tree", "Plant", "Snake", "Rock", "Mountain", "Car", "Dishwasher"]

# Pet, animal, alive, geological, manufactured.
VECTORS = np.float32(
    [
        [0.99, 0.99, 0.99, 0.001, 0.001],
        [0.99, 0.99, 0.99, 0.001, 0.001],
        [0.8, 0.99, 0.99, 0.001, 0.001],
        [0.2, 0.01, 0.99, 0.001, 0.001],
        [0.4, 0.01, 0.99, 0.001, 0.001],
        [0.6, 0.99, 0.99, 0.001, 0.001],
        [0.1, 0.001, 0.01, 0.99, 0.3],
        [0.01, 0.001, 0.05, 0.99, 0.01],
        [0.05, 0.0001, 0.01, 0.001, 0.99],
        [0.0001, 0.0001, 0.01, 0.001, 0.99],
    ]
)

COSINES = {
    ("Dog", "Cat"): 1.0, ("Dog", "Horse"): 0.9954, ("Tree", "Plant"): 0.9830, ("Snake", "Horse"): 0.9935,
    ("Rock", "Mountain"): 0.9556, ("Car", "Dishwasher"): 0.9987, ("Dog", "Car"): 0.0356,
}  # fmt: skip


def test_w50_a_one_hot_vector_selects_the_word():
    chosen = encoding.one_hot(np.array([5, 0]), classes=10)
    np.testing.assert_array_equal(linear(chosen, VECTORS), VECTORS[[5, 0]])
    np.testing.assert_array_equal(embedding(np.array([5, 0]), VECTORS), VECTORS[[5, 0]])


def test_w50_cosines_of_related_and_unrelated_words():
    matrix = similarity.cosine_similarities(VECTORS, VECTORS)
    for (a, b), cosine in COSINES.items():
        assert matrix[WORDS.index(a), WORDS.index(b)] == pytest.approx(cosine, abs=5.1e-5)


@pytest.mark.parametrize("closeness", ["cosine", "distance"])
def test_w50_related_words_are_nearest_neighbours(closeness):
    if closeness == "cosine":
        matrix = np.array(similarity.cosine_similarities(VECTORS, VECTORS))
    else:
        matrix = -np.array(similarity.euclidean_distances(VECTORS, VECTORS))
    np.fill_diagonal(matrix, -np.inf)
    nearest = dict(zip(WORDS, [WORDS[i] for i in matrix.argmax(axis=1)], strict=True))
    expected = {"Dog": "Cat", "Cat": "Dog", "Tree": "Plant", "Plant": "Tree", "Snake": "Horse", "Rock": "Mountain",
                "Mountain": "Rock", "Car": "Dishwasher", "Dishwasher": "Car"}  # fmt: skip
    assert expected.items() <= nearest.items()
