import jax
import jax.numpy as jnp
import numpy as np

from fjdl.augment import batch, combine, geometry, sample


def test_alternating_flip_shows_both_forms_in_any_two_epochs_and_starts_at_random() -> None:
    image, key = np.array([[[0], [1]]], np.uint8), jax.random.key(0)
    flip = jax.vmap(lambda epoch, index: geometry.alternating_flip(key, image, epoch, index)[0, 0, 0], (None, 0))
    flipped = np.asarray(jax.jit(jax.vmap(flip, (0, None)))(jnp.arange(4), jnp.arange(1000)))
    np.testing.assert_array_equal(flipped[1:], 1 - flipped[:-1])
    assert abs(flipped[0].sum() - 500) < 5 * np.sqrt(250)


def test_keys_of_examples_differ_by_epoch_and_index() -> None:
    drawn = [batch.example_key(jax.random.key(0), epoch, index) for epoch in range(2) for index in range(2)]
    data = {tuple(np.asarray(jax.random.key_data(key)).tolist()) for key in drawn}
    assert len(data) == 4
    same = batch.example_key(jax.random.key(0), jnp.array(1), jnp.array(1))
    assert tuple(np.asarray(jax.random.key_data(same)).tolist()) in data


def test_images_in_turn_are_those_computed_together(rng: np.random.Generator) -> None:
    given = {"image": rng.integers(0, 256, (8, 3, 4, 1), dtype=np.uint8), "label": np.arange(8)}
    choice = combine.choose_one(geometry.random_mirror, geometry.random_flip_vertical)

    @jax.jit
    def every(key: jax.Array) -> list[dict[str, jax.Array]]:
        both = ((batch.each_image, choice), (batch.each_example, sample.on_image(choice)))
        return [make(function, in_turn=turn)(key, given) for make, function in both for turn in (False, True)]

    first, *others = every(jax.random.key(0))
    assert np.any(first["image"] != given["image"])
    for other in others:
        np.testing.assert_array_equal(other["image"], first["image"])
        np.testing.assert_array_equal(other["label"], given["label"])


def test_flips_of_a_batch_alternate_by_epoch_whatever_the_key_of_the_step() -> None:
    image = np.tile(np.array([[[0], [1]]], np.uint8), (6, 1, 1, 1))
    flips = jax.jit(batch.alternating_flips(3))
    seen = []
    for epoch, step in ((0, 5), (1, 6), (2, 7)):
        given = {"image": image, "index": np.arange(6), "epoch": np.full(6, epoch), "label": np.arange(6)}
        changed = flips(jax.random.key(step), given)
        np.testing.assert_array_equal(changed["label"], np.arange(6))
        seen.append(np.asarray(changed["image"][:, 0, 0, 0]))
    np.testing.assert_array_equal(seen[1], 1 - seen[0])
    np.testing.assert_array_equal(seen[2], seen[0])


def test_augmentations_in_sequence_have_keys_of_their_own() -> None:
    def draw(name: str) -> batch.Augment:
        return lambda key, given: {**given, name: jax.random.uniform(key)}

    drawn = batch.in_sequence(draw("a"), draw("b"))(jax.random.key(0), {"image": np.zeros(1)})
    assert drawn["a"] != drawn["b"]
    assert set(drawn) == {"image", "a", "b"}
