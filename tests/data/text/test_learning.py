"""Word vectors learned by skip-gram through a recipe, and reused, frozen, in a classifier of sentences."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl.data import text
from fjdl.data.source import Splits, from_arrays
from fjdl.losses import skipgram_negative_sampling_loss, softmax_cross_entropy
from fjdl.model import Model
from fjdl.optim import FROZEN, adam, partition
from fjdl.train import Recipe, fit
from fjdl.transfer import pretrained

TOPICS = (["cat", "dog", "fish", "bird"], ["rock", "hill", "lake", "sand"])
WIDTH = 8


def sentences(rng: np.random.Generator, count: int) -> list[list[str]]:
    """Of four words of one topic each."""
    return [list(rng.choice(TOPICS[n % 2], 4)) for n in range(count)]


def skipgram(words: int) -> Model:
    """Vectors of words and of contexts; inputs are a dictionary of their numbers."""

    def init(key: Any, inputs: Any) -> tuple[Any, Any]:
        return {"words": 0.1 * jax.random.normal(key, (words, WIDTH)), "contexts": jnp.zeros((words, WIDTH))}, {}

    def apply(params: Any, stats: Any, inputs: Any, **_: Any) -> tuple[Any, Any]:
        others = {name: params["contexts"][inputs[name]] for name in ("context", "negatives")}
        return {"center": params["words"][inputs["center"]], **others}, stats

    return Model(init, apply)


@pytest.mark.by_day_on_pin(1)
def test_words_of_one_topic_become_neighbours_and_serve_a_classifier_unchanged(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corpus = sentences(rng, 300)
    vocabulary = text.build_vocabulary(word for sentence in corpus for word in sentence)
    ids = vocabulary.encode(word for sentence in corpus for word in sentence)
    pairs = from_arrays(text.skipgram_pairs(ids, window=2, seed=0, texts=np.repeat(np.arange(300), 4)))
    table = text.noise_table(text.noise_probabilities(text.token_counts(ids, vocabulary)))

    def inputs(batch: Any) -> Any:
        """In evaluation each example has negatives of its own, always the same."""
        keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(7), i))(batch["index"])
        drawn = jax.vmap(lambda key: text.draw_noise(key, *table, shape=(3,)))(keys)
        return {**batch, "negatives": batch.get("negatives", drawn)}

    recipe = Recipe(
        splits=lambda: Splits(name="topics", train=pairs, validation=pairs, test=pairs, classes=vocabulary.tokens),
        model=skipgram(len(vocabulary)),
        inputs=inputs,
        augment=lambda key, batch: {
            **batch, "negatives": text.draw_noise(key, *table, shape=(batch["center"].shape[0], 3))
        },
        loss=lambda outputs, batch: skipgram_negative_sampling_loss(**outputs),
        metrics={},
        monitor="loss",
        mode="min",
        optimizer=lambda steps: adam(0.02),
        epochs=3,
        batch_size=64,
    )  # fmt: skip
    vectors = np.asarray(fit(recipe, tmp_path).params["words"])
    for topic in TOPICS:
        for word in topic:
            assert {name for name, _ in text.nearest_words(vocabulary, vectors, word, count=3)} == {*topic} - {word}

    text.write_word2vec_text(tmp_path / "v.txt", vocabulary, vectors)
    begin = text.embedding_table(text.read_word2vec_text(tmp_path / "v.txt", vocabulary))
    drawn = averaged_words(len(vocabulary))
    classifier = pretrained(drawn, lambda params, _: ({**params, "embedding": begin}, {}), head="head/.*")
    tokens, length = text.padded([vocabulary.encode(sentence) for sentence in sentences(rng, 64)])
    labels = np.arange(64) % 2
    params, accuracy = trained(classifier, (tokens, length), labels)
    np.testing.assert_array_equal(params["embedding"], vectors)
    assert accuracy == 1


def averaged_words(words: int) -> Model:
    """The mean vector of a sentence and a layer of two classes; the head begins at 0 and the vectors are not known."""

    def init(key: Any, inputs: Any) -> tuple[Any, Any]:
        head = {"kernel": jnp.zeros((WIDTH, 2)), "bias": jnp.zeros(2)}
        return {"embedding": jnp.zeros((words, WIDTH)), "head": head}, {}

    def apply(params: Any, stats: Any, inputs: Any, **_: Any) -> tuple[Any, Any]:
        tokens, length = inputs
        inside = jnp.arange(tokens.shape[1])[None] < length[:, None]
        mean = jnp.sum(params["embedding"][tokens] * inside[..., None], axis=1) / length[:, None]
        return mean @ params["head"]["kernel"] + params["head"]["bias"][None], stats

    return Model(init, apply)


def trained(model: Model, inputs: Any, labels: np.ndarray) -> tuple[Any, float]:
    """Parameters and accuracy after fifty steps in which the vectors are frozen by their path."""
    optimizer = partition([("embedding", FROZEN), ("head/.*", adam(0.1))])

    @jax.jit
    def train() -> Any:
        params, stats = model.init(jax.random.key(0), inputs)

        def step(carry: Any, _: Any) -> Any:
            params, state = carry
            gradients = jax.grad(
                lambda p: jnp.mean(softmax_cross_entropy(model.apply(p, stats, inputs, train=True)[0], labels))
            )(params)
            updates, state = optimizer.update(gradients, state, params)
            return (optax.apply_updates(params, updates), state), None

        params = jax.lax.scan(step, (params, optimizer.init(params)), length=50)[0][0]
        return params, jnp.argmax(model.apply(params, stats, inputs)[0], axis=-1)

    params, predicted = train()
    return params, float(np.mean(np.asarray(predicted) == labels))
