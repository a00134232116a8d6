"""A language model and a translator of letters, whose recipes say how they write."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from fjdl import optim
from fjdl.data.source import Splits, from_arrays
from fjdl.model import Model
from fjdl.train import Recipe
from fjdl.train.generation import Generation, Start
from fjdl.train.tasks import language_model, translation

LETTERS = "_^.abcd"  # pad, begin, end
PAD, BEGIN, END = range(3)
K = len(LETTERS)


def encoded(text: str) -> list[int]:
    return [LETTERS.index(letter) for letter in text]


def decoded(tokens: Any) -> str:
    return "".join(LETTERS[token] for token in tokens)


def table(width: int) -> Any:
    def init(key: Any, inputs: Any) -> Any:
        del key, inputs
        return {"table": jnp.zeros((width, K))}, {}

    return init


def pairs(params: Any, stats: Any, state: Any, tokens: Any) -> Any:
    del stats
    return params["table"][tokens], state


def writer(**changes: Any) -> Recipe:
    """Logits of the next letter from the last one; the text goes abcd and ends."""
    text = np.tile(np.array(encoded("^abcd.")), (16, 1)).astype(np.int32)
    data = from_arrays({"tokens": text[:, :-1], "target": text[:, 1:]})
    task = language_model(K)
    generation = Generation(
        encode=lambda text: [BEGIN, *encoded(text)],
        decode=lambda tokens: decoded(tokens).lstrip("^"),
        start=lambda params, stats, tokens, lengths, room: Start((), tokens, lengths),
        step=pairs,
        end=END,
        length=8,
    )
    return _recipe(
        data, Model(table(K), lambda p, s, x, **_: (p["table"][x], s)), "tokens", task, generation, **changes
    )


def translator(**changes: Any) -> Recipe:
    """The sentence of as many letters, each shifted by one; the decoder sees the encoded sentence in its state."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 7, 24)
    source, target = np.zeros((24, 7), np.int32), np.zeros((24, 9), np.int32)
    for row, length in enumerate(lengths):
        letters = rng.integers(0, 4, length)
        source[row, :length] = 3 + letters
        target[row, : length + 2] = [BEGIN, *(3 + (letters + 1) % 4), END]
    data = from_arrays(
        {
            "source": source,
            "length": lengths.astype(np.int32),
            "target": target,
            "target_length": (lengths + 2).astype(np.int32),
        }
    )

    def apply(params: Any, stats: Any, inputs: Any, **_: Any) -> Any:
        return params["table"][jnp.pad(inputs[0], ((0, 0), (0, 1)))], stats

    def step(params: Any, stats: Any, state: Any, tokens: Any) -> Any:
        del stats
        now = jnp.take_along_axis(state["source"], state["place"][:, None], axis=1)[:, 0]
        return params["table"][now], {**state, "place": state["place"] + 1}

    def start(params: Any, stats: Any, tokens: Any, lengths: Any, room: int) -> Start:
        inside = jnp.arange(tokens.shape[1], dtype=jnp.int32)[None] < lengths[:, None]
        source = jnp.pad(jnp.where(inside, tokens, PAD), ((0, 0), (0, room)))
        zeros = jnp.zeros_like(lengths)
        return Start({"source": source, "place": zeros}, (zeros + BEGIN)[:, None], zeros + 1)

    generation = Generation(
        encode=encoded,
        decode=lambda tokens: " ".join(decoded(tokens)),
        start=start,
        step=step,
        end=END,
        length=8,
        beams=2,
        continues=False,
        source=lambda batch: (batch["source"], batch["length"]),
        references=lambda part: [" ".join(decoded(row[1 : n + 1])) for row, n in zip(target, lengths, strict=True)],
    )
    recipe = _recipe(data, Model(table(K), apply), "source", translation(K), generation)
    return dataclasses.replace(recipe, inputs=lambda batch: (batch["source"], batch["target"]), **changes)


def _recipe(data: Any, model: Model, inputs: str, task: Any, generation: Generation, **changes: Any) -> Recipe:
    recipe = Recipe(
        splits=lambda: Splits(name="letters", train=data, validation=data, test=data, classes=()),
        model=model,
        inputs=lambda batch: batch[inputs],
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda steps: optim.adam(0.5),
        epochs=4,
        batch_size=8,
        monitor="perplexity",
        mode="min",
        generation=generation,
    )
    return dataclasses.replace(recipe, **changes)
