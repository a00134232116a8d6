"""What augmentations become in programs for TPUs, which are lowered here, and for every platform but the CPU."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fjdl import augment
from tests.augment.test_random import IMAGES, MIXTURES, MOSAICS, SAMPLES

Given = dict[str, Any]

LOOP = re.compile(
    r"= \"?stablehlo\.(while|gather|dynamic_slice|dynamic_update_slice|scatter|sort)\b|@(\w*[tT]op_?[kK])"
)
WARPS = {"affine", "rotate", "elastic", "rand_augment", "trivial_augment"}  # a pixel may come from anywhere

OTHERS: dict[str, Callable[..., Any]] = {
    "equalize": lambda key, image: augment.equalize(image),
    "choose_one": augment.choose_one(augment.random_mirror, augment.random_gamma, probabilities=[0.3, 0.7]),
    "apply_with_probability": augment.apply_with_probability(augment.random_mirror, probability=0.3),
    "nearest resized_crop": partial(augment.random_resized_crop, size=(5, 6), nearest=True),
    "rot90 of a square": lambda key, image: augment.random_rot90(key, image[:5, :5]),
}


def given() -> Given:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 3, (4, 7, 2)).astype(np.float32)
    return {
        "image": rng.integers(0, 256, (4, 5, 6, 3), dtype=np.uint8),
        "mask": rng.integers(0, 256, (4, 5, 6), dtype=np.uint8),
        "boxes": np.concatenate([corners, corners + 2], axis=2),
        "valid": np.ones((4, 7), bool),
    }


def operations(function: Callable[..., Any], *arguments: Any) -> set[str]:
    """The loops, gathers, scatters and sorts of the program for TPUs."""
    text = jax.jit(function).trace(*arguments).lower(lowering_platforms=("tpu",)).as_text()
    return {found[1] or found[2] for found in LOOP.finditer(text)}


EACH: dict[str, tuple[Callable[..., Any], Given]] = {
    **{name: (augment.each_image(one), {"image": given()["image"]}) for name, one in {**IMAGES, **OTHERS}.items()},
    **{f"{name} of a sample": (augment.each_example(one), given()) for name, one in SAMPLES.items()},
    "alternating_flips": (
        augment.alternating_flips(3),
        {"image": given()["image"], "epoch": np.zeros(4, np.int32), "index": np.arange(4, dtype=np.int32)},
    ),
}


@pytest.mark.parametrize("name", EACH)
def test_no_image_waits_for_another_on_tpus(name: str) -> None:
    function, batch = EACH[name]
    allowed = {"gather"} if name.removesuffix(" of a sample") in WARPS else set()
    assert operations(function, jax.random.key(0), batch) <= allowed


@pytest.mark.parametrize("function", MIXTURES)
def test_mixtures_draw_weights_by_rejection_and_gather_whole_images(function: Callable[..., Any]) -> None:
    """The weights of all images in one loop, the permutation by one sort; nothing else would be a permutation."""
    batch = {"image": given()["image"], "label": np.arange(4, dtype=np.int32)}
    assert operations(partial(function, classes=4), jax.random.key(0), batch) == {"gather", "sort", "while"}


@pytest.mark.parametrize("function", MOSAICS)
def test_mosaics_only_gather_whole_images(function: Callable[..., Any]) -> None:
    batch = {**given(), "labels": np.ones((4, 7), np.int32)}
    assert operations(function, jax.random.key(0), batch) == {"gather"}


def test_every_random_function_is_under_the_law() -> None:
    covered = {getattr(one, "func", one) for one in (*IMAGES.values(), *SAMPLES.values(), *MIXTURES, *MOSAICS)}
    public = {name for name in augment.__all__ if name.startswith("random_")}
    assert {name for name in public if getattr(augment, name) not in covered} == {"random_displacement"}  # of elastic


@pytest.mark.by_day_on_pin(1)
def test_the_form_for_other_platforms_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    key = jax.random.key(1)
    programs = {name: str(jax.make_jaxpr(one)(key, batch)) for name, (one, batch) in EACH.items()}
    policies = {"rand_augment", "trivial_augment"}  # whose branches JAX keeps; `equalize` is the one that differs
    names = [name for name, text in programs.items() if "platform_index" in text and name not in policies]
    assert {"crop", "shift", "equalize", "nearest resized_crop", "crop of a sample"} <= {*names}

    def everything(key: Any) -> Any:
        return {name: EACH[name][0](key, EACH[name][1]) for name in names}

    expected = jax.jit(everything)(key)
    monkeypatch.setattr(lax, "platform_dependent", lambda *args, cpu, default: default(*args))
    found = jax.jit(partial(everything)).trace(key)
    assert "platform_index" not in str(found.jaxpr)
    results = found.lower().compile()(key)
    for name in names:
        jax.tree.map(np.testing.assert_array_equal, results[name], expected[name])


def test_one_of_the_functions_is_drawn_as_jax_draws() -> None:
    keys = jax.random.split(jax.random.key(5), 500)
    given = [0.1, 0.0, 0.6, 0.3]
    functions = [lambda key, x, number=number: x + number for number in range(4)]
    drawn = jax.jit(jax.vmap(lambda key: augment.choose_one(*functions, probabilities=given)(key, jnp.int32(0))))(keys)
    choice = jax.vmap(lambda key: jax.random.choice(jax.random.split(key)[0], 4, p=jnp.array(given)))
    np.testing.assert_array_equal(drawn, jax.jit(choice)(keys))
    assert set(drawn.tolist()) == {0, 2, 3}
