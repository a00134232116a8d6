import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from fjdl.data.source import Source, Splits, from_arrays, joined, one_by_one
from fjdl.data.splits import fold_indices, folds, split, stratified_split, with_validation

weights = st.lists(st.integers(1, 20), min_size=1, max_size=4)


@settings(deadline=None)
@given(length=st.integers(80, 2000), weights=weights, seed=st.integers(0, 2**64 - 1))
def test_parts_are_disjoint_complete_increasing_and_of_the_asked_sizes(length, weights, seed):
    fractions = [weight / sum(weights) for weight in weights]
    parts = split(length, fractions=fractions, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(length))
    for part, fraction in zip(parts, fractions, strict=True):
        assert np.all(np.diff(part) > 0)
        assert abs(part.size - fraction * length) < 1


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(-2, 3), min_size=60, max_size=300), seed=st.integers(0, 1000), test=st.integers(20, 50)
)
def test_stratified_parts_hold_their_share_of_every_class_to_within_one(labels, seed, test):
    labels, fractions = np.array(labels), (0.8 - test / 100, 0.2, test / 100)
    parts = stratified_split(labels, fractions=fractions, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(labels.size))
    for part, fraction in zip(parts, fractions, strict=True):
        for label in np.unique(labels):
            assert abs(np.sum(labels[part] == label) - fraction * np.sum(labels == label)) < 1


def test_class_counts_equal_those_of_scikit_learn(rng):
    labels = rng.permutation(np.repeat([0, 1, 2], [100, 60, 40]))
    _, test = stratified_split(labels, fractions=(0.75, 0.25), seed=0)
    _, theirs = train_test_split(labels, test_size=0.25, stratify=labels, random_state=0)
    np.testing.assert_array_equal(np.bincount(labels[test]), np.bincount(theirs))


@pytest.mark.parametrize("divide", [split, lambda n, **kw: stratified_split(np.arange(n) % 3, **kw)])
def test_the_seed_alone_decides(divide):
    first, again, other = (divide(90, fractions=(0.5, 0.5), seed=seed)[0] for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_order_is_numpys_documented_generator():
    expected = np.random.Generator(np.random.PCG64(3)).permutation(10)
    train, test = split(10, fractions=(0.7, 0.3), seed=3)
    np.testing.assert_array_equal(train, np.sort(expected[:7]))
    np.testing.assert_array_equal(test, np.sort(expected[7:]))


def test_equal_remainders_go_to_the_earlier_part():
    assert [part.size for part in split(50, fractions=(0.65, 0.15, 0.2), seed=0)] == [33, 7, 10]


def test_a_count_given_as_a_fraction_is_met_exactly():
    for count in (1, 4999, 5000, 59_999):
        parts = split(60_000, fractions=(1 - count / 60_000, count / 60_000), seed=0)
        assert parts[1].size == count


def test_a_class_of_one_example_is_in_exactly_one_part():
    labels = np.array([0] * 20 + [1])
    assert sum(20 in part for part in stratified_split(labels, fractions=(0.5, 0.5), seed=0)) == 1


@pytest.mark.parametrize(
    "fractions", [(), (0.5,), (0.5, 0.6), (1.5, -0.5), (1.0, 0.0), (float("nan"), 0.5), (float("inf"), 0.5)]
)
def test_fractions_that_are_no_partition_are_refused(fractions):
    with pytest.raises(ValueError, match="fractions must be positive and sum to 1, got"):
        split(10, fractions=fractions, seed=0)


@pytest.mark.parametrize("length", [0, 2])
def test_an_empty_part_is_refused(length):
    with pytest.raises(
        ValueError, match=rf"every part must hold an example, got parts of \[.*\] for {length} examples"
    ):
        split(length, fractions=(0.8, 0.1, 0.1), seed=0)


def test_labels_that_are_no_vector_are_refused():
    with pytest.raises(ValueError, match=r"labels must be a vector, got shape \[4, 1\]"):
        stratified_split(np.zeros((4, 1)), fractions=(0.5, 0.5), seed=0)


def test_validation_is_drawn_from_the_official_training_part():
    whole, test = (from_arrays({"x": np.arange(n)}) for n in (10, 4))
    found = with_validation("ten", whole, test, classes=("a",), validation=3, seed=0)
    drawn, kept = (np.asarray(part.element(np.arange(part.length))["x"]) for part in (found.validation, found.train))
    assert (len(drawn), found.test.length) == (3, 4)
    assert sorted([*drawn, *kept]) == list(range(10))
    for validation in (0, 10):
        with pytest.raises(ValueError, match=rf"validation must lie in \[1, 9\], got {validation}"):
            with_validation("ten", whole, test, classes=("a",), validation=validation, seed=0)


def parts_of(x: np.ndarray, label: np.ndarray) -> Splits:
    def part(rows: slice) -> Source:
        return from_arrays({"x": x[rows], "label": label[rows]})

    return Splits(
        name="n", train=part(slice(0, 20)), validation=part(slice(20, 31)), test=part(slice(31, 40)), classes=()
    )


@pytest.mark.parametrize("k", [2, 3, 5])
def test_folds_have_the_class_counts_of_scikit_learn(rng, k):
    labels = rng.permutation(np.repeat([4, 0, 7], [23, 12, 6]))
    ours = fold_indices(labels, k=k, seed=1)
    np.testing.assert_array_equal(np.sort(np.concatenate(ours)), np.arange(labels.size))
    theirs = [test for _, test in StratifiedKFold(k, shuffle=True, random_state=0).split(labels, labels)]
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.bincount(labels[mine]), np.bincount(labels[other]))
        assert np.all(np.diff(mine) > 0)
    without = [test.size for _, test in KFold(k).split(labels)]
    assert [fold.size for fold in fold_indices(np.zeros(41, int), k=k, seed=1)] == without
    assert not np.array_equal(ours[0], fold_indices(labels, k=k, seed=2)[0])


@pytest.mark.parametrize("stratified", [True, False])
def test_folds_divide_training_and_validation_parts_anew_and_keep_the_test_part(stratified):
    x = np.arange(40)
    whole = parts_of(x, x % 3)
    divided = folds(whole, k=3, seed=0, stratified=stratified)
    held_out = [part.validation.element(np.arange(part.validation.length))["x"] for part in divided]
    np.testing.assert_array_equal(np.sort(np.concatenate(held_out)), np.arange(31))
    for part, fold in zip(divided, held_out, strict=True):
        train = part.train.element(np.arange(part.train.length))
        np.testing.assert_array_equal(np.sort(np.concatenate([train["x"], fold])), np.arange(31))
        np.testing.assert_array_equal(train["label"], train["x"] % 3)
        assert part.test is whole.test


def test_folds_that_do_not_fit_are_refused():
    for labels, k, sentence in (
        (np.zeros(4, int), 1, "k must be at least 2, got 1"),
        (np.zeros(4, int), 5, r"labels must be a vector of at least k=5 entries, got shape \[4\]"),
        (np.zeros((4, 2), int), 2, r"got shape \[4, 2\]"),
    ):
        with pytest.raises(ValueError, match=sentence):
            fold_indices(labels, k=k, seed=0)
    with pytest.raises(ValueError, match="need a scalar 'label' of each example, got shape"):
        folds(parts_of(np.arange(40), np.zeros((40, 2))), k=2, seed=0)


@pytest.mark.parametrize(
    "index", [4, np.array([[4, 0], [2, 3]]), np.array([], int), np.array([1, 0]), np.array([4, 3])]
)
def test_joined_sources_are_read_as_one(index):
    x = np.arange(10.0).reshape(5, 2)
    both = joined(from_arrays({"x": x[:3]}), one_by_one(2, lambda i: {"x": x[3 + i]}))
    np.testing.assert_array_equal(both.element(index)["x"], x[index])
    assert (both.length, both.streamed) == (5, True)
    with pytest.raises(IndexError):
        both.element(5)
