"""Which layer gets how many bits where all together may take so many bytes."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from fjdl.checks import at_least


def bits_within(
    errors: Mapping[str, Mapping[int, float]], sizes: Mapping[str, Mapping[int, int]], *, budget: int
) -> dict[str, int]:
    """The bits of each layer with the least sum of errors among all choices that take at most `budget` bytes.

    `errors[layer][bits]` is what the network loses where this layer alone has so many bits, such as
    `nn.quantized.sensitivities` measures, and `sizes[layer][bits]` are the bytes that the layer then takes. That errors
    of layers add up is what the choice rests on (Dong et al. 2020, arXiv:1911.03852); under it the choice is exact. Of
    choices with one sum the smallest is taken. Raises `ValueError` for an error that is not a number, for bits without
    a size, and where the smallest choice takes more than the budget.

    >>> errors = {"first": {8: 0.0, 4: 5.0}, "last": {8: 0.0, 4: 1.0}}
    >>> bits_within(errors, {"first": {8: 10, 4: 5}, "last": {8: 10, 4: 5}}, budget=15)
    {'first': 8, 'last': 4}
    """
    at_least(0, budget=budget)
    total, loss = np.zeros(1, np.int64), np.zeros(1)
    steps = []
    for name, choices in errors.items():
        bits = sorted(choices)
        _require(name, bits, choices, sizes)
        more = np.array([sizes[name][count] for count in bits], np.int64), np.array([choices[count] for count in bits])
        total, loss = (np.add.outer(a, b).ravel() for a, b in zip((total, loss), more, strict=True))
        kept = _best(total, loss, budget)
        if not kept.size:
            least = sum(min(sizes[layer][count] for count in errors[layer]) for layer in errors)
            raise ValueError(f"budget must be at least {least} bytes, which the smallest choice takes, got {budget}")
        total, loss = total[kept], loss[kept]
        steps.append((name, bits, kept))
    return dict(reversed(list(_chosen(steps, int(np.argmin(loss))))))


def _require(name: str, bits: list[int], errors: Mapping[int, float], sizes: Mapping[str, Mapping[int, int]]) -> None:
    for count in bits:
        if count not in sizes.get(name, {}):
            raise ValueError(
                f"sizes must hold the bytes of each layer in each number of bits, got none of {name!r} in {count}"
            )
        if not math.isfinite(errors[count]):
            raise ValueError(f"errors must be finite, got {errors[count]} for {name!r} in {count} bits")


def _best(total: np.ndarray, loss: np.ndarray, budget: int) -> np.ndarray:
    """Indices of the sums within the budget that no other one is at least as small and as good as."""
    order = np.lexsort((loss, total))
    order = order[total[order] <= budget]
    best_before = np.minimum.accumulate(np.concatenate([[np.inf], loss[order]]))[:-1]
    return order[loss[order] < best_before]


def _chosen(steps: list[tuple[str, list[int], np.ndarray]], place: int) -> Iterator[tuple[str, int]]:
    """The bits of each layer from the last to the first, of the sum at this place."""
    for name, bits, kept in reversed(steps):
        place, choice = divmod(int(kept[place]), len(bits))
        yield name, bits[choice]
