"""Bits of layers under a budget of bytes, beside all choices there are."""

import itertools

import numpy as np
import pytest

from fjdl.quant import bits_within


def sizes_of(weights: dict[str, int]) -> dict[str, dict[int, int]]:
    return {name: {bits: -(-count * bits // 8) for bits in (8, 4, 3, 2)} for name, count in weights.items()}


def cost(sizes: dict[str, dict[int, int]], bits: dict[str, int]) -> int:
    return sum(sizes[name][bits[name]] for name in sizes)


@pytest.mark.parametrize("seed", range(4))
def test_no_other_choice_within_the_budget_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"layer{i}" for i in range(5)]
    sizes = sizes_of({name: int(rng.integers(1, 200)) for name in names})
    errors = {name: {bits: float(rng.integers(0, 12)) / bits for bits in (8, 4, 2)} for name in names}
    every = [dict(zip(names, bits, strict=True)) for bits in itertools.product((8, 4, 2), repeat=5)]
    for budget in (cost(sizes, dict.fromkeys(names, 2)), cost(sizes, dict.fromkeys(names, 4)), 10_000):
        found = bits_within(errors, sizes, budget=budget)
        assert list(found) == names
        assert cost(sizes, found) <= budget
        sums = [sum(errors[n][b[n]] for n in names) for b in every if cost(sizes, b) <= budget]
        assert sum(errors[name][found[name]] for name in names) == pytest.approx(min(sums))


def test_a_hundred_layers_are_no_matter() -> None:
    weights = {str(i): 1000 + 37 * i for i in range(100)}
    sizes = sizes_of(weights)
    errors = {name: {bits: 2.0**-bits * size for bits in (8, 4, 3, 2)} for name, size in weights.items()}
    budget = sum(weights.values()) // 2
    found = bits_within(errors, sizes, budget=budget)
    assert budget - 2000 < cost(sizes, found) <= budget


def test_what_cannot_be_is_refused() -> None:
    errors = {"a": {8: 0.0, 4: 1.0}}
    with pytest.raises(ValueError, match="budget must be at least 5 bytes, which the smallest choice takes, got 4"):
        bits_within(errors, sizes_of({"a": 10}), budget=4)
    with pytest.raises(ValueError, match=r"sizes must hold the bytes of each layer .*, got none of 'a' in 4"):
        bits_within(errors, {"a": {8: 10}}, budget=4)
    with pytest.raises(ValueError, match="errors must be finite, got nan for 'a' in 8 bits"):
        bits_within({"a": {8: np.nan}}, sizes_of({"a": 1}), budget=4)
    assert bits_within({}, {}, budget=0) == {}
