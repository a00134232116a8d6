"""Whole numbers beyond the 32 bits that JAX keeps never become other ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import losses, metrics
from fjdl.augment import mix
from fjdl.integers import require_fit
from fjdl.numerics import comparable, is_label, signed
from tests.support import float64

BIG, SMALL = np.array([2**32 + 5, 1, 7]), np.array([5, 1, 7])
LOGITS, EMBEDDINGS = np.zeros((3, 8), np.float32), np.eye(3, dtype=np.float32)
FOREVER = np.uint32([2**32 - 1])


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: metrics.accuracy_score(BIG, SMALL), "y_true"),
        (lambda: metrics.f1_score(SMALL, BIG, average="macro"), "y_pred"),
        (lambda: metrics.cohen_kappa_score(BIG, SMALL), "y1"),
        (lambda: metrics.log_loss(BIG, LOGITS), "y_true"),
        (lambda: metrics.measure(metrics.accuracy(), LOGITS, BIG), r"arrays\[1\]"),
        (lambda: metrics.confusion_matrix(8).update(None, predictions=SMALL, labels=BIG), "labels"),
        (lambda: metrics.edit_distance(BIG, SMALL), "a"),
        (lambda: losses.softmax_cross_entropy(LOGITS, BIG), "labels"),
        (lambda: losses.supervised_contrastive_loss(EMBEDDINGS, BIG), "labels"),
        (lambda: losses.hard_triplets(EMBEDDINGS, BIG), "labels"),
        (lambda: losses.semi_hard_triplets(EMBEDDINGS, BIG), "labels"),
        (lambda: mix.mixup({"image": LOGITS, "label": BIG}, SMALL, LOGITS[:, 0], classes=8), "labels"),
        (lambda: metrics.f1(metrics.Outcomes(BIG, BIG, BIG, BIG)), r"matrix\[0\]"),
    ],
)
def test_the_sentence_names_argument_number_and_remedy(call, argument):
    with pytest.raises(ValueError, match=rf"argument `{argument}` must fit int32, got 4294967301; set jax_enable_x64"):
        call()


def test_with_64_bits_the_same_numbers_are_kept_apart():
    with float64():
        np.testing.assert_allclose(metrics.accuracy_score(BIG[:1], SMALL[:1]), 0)
        np.testing.assert_allclose(metrics.f1_score(BIG[:2], SMALL[:2], average="macro"), 1 / 3)
        np.testing.assert_allclose(metrics.cohen_kappa_score(BIG[:2], SMALL[:2]), 1 / 3)
        assert not losses.has_positive(np.array([2**32 + 5, 5])).any()


def test_numbers_that_fit_pass_whatever_their_dtype():
    for dtype in (np.int64, np.uint64, np.uint32, np.int8):
        assert metrics.accuracy_score(SMALL.astype(dtype), SMALL) == 1
    assert metrics.accuracy_score(np.array([-(2**31), 2**31 - 1]), np.array([2**31 - 1, 2**31 - 1])) == 0.5
    assert metrics.accuracy_score(np.zeros(0, np.int64), np.zeros(0, np.int64)).shape == ()


@pytest.mark.parametrize("place", [np.asarray, jnp.asarray])
def test_the_largest_unsigned_number_is_no_negative_label(place):
    with pytest.raises(ValueError, match=r"^labels must fit int32, got 4294967295; set jax_enable_x64"):
        losses.softmax_cross_entropy(LOGITS[:1], place(FOREVER), ignore_label=-1)
    with pytest.raises(ValueError, match=r"^y_true must fit int32, got 4294967295"):
        metrics.accuracy_score(place(FOREVER), np.array([-1]))
    assert metrics.accuracy_score(place(FOREVER), place(FOREVER)) == 1
    assert metrics.edit_distance(place(FOREVER), place(FOREVER - 1)) == 1


def test_a_traced_unsigned_number_is_no_class_and_no_negative_label():
    assert jax.jit(signed)(FOREVER) == 2**31 - 1
    assert not jax.jit(lambda x: is_label(x, -1, name="ignore_label"))(FOREVER)
    loss = jax.jit(lambda x: losses.softmax_cross_entropy(LOGITS[:1], x, ignore_label=-1))(FOREVER)
    assert np.isnan(loss)
    assert jax.jit(metrics.accuracy_score)(FOREVER, np.array([-1])) == 0


@pytest.mark.parametrize("number", [2**32 - 1, 2**70])
def test_a_static_label_that_no_label_can_hold_is_refused(number):
    with pytest.raises(ValueError, match=rf"^ignore_label must fit int32, got {number}; set jax_enable_x64"):
        losses.softmax_cross_entropy(LOGITS, SMALL, ignore_label=number)
    with pytest.raises(ValueError, match=rf"^labels must fit int32, got {number}; set jax_enable_x64"):
        metrics.confusion_table(SMALL, SMALL, labels=(1, number))


def test_the_remedy_is_left_out_where_there_is_none():
    with pytest.raises(ValueError, match=r"^labels must fit int64, got 9223372036854775808$"):
        require_fit("labels", np.uint64([2**63]), np.int64)
    with float64(), pytest.raises(ValueError, match=r"^labels must fit int64, got 18446744073709551615$"):
        signed(np.uint64([2**64 - 1]))


def test_numbers_of_two_dtypes_compare_as_numbers():
    a, b = comparable(np.uint8([255, 3]), np.int8([-1, 3]), "a", "b")
    np.testing.assert_array_equal(a == b, [False, True])
