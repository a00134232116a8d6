from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import tree
from fjdl.optim import scale_by_path
from fjdl.transfer.head import layerwise_rates, replace_head


def network(fill: float, *, classes: int, width: int = 3) -> dict[str, Any]:
    return {
        "stage1": {"kernel": np.full((2, width), fill)},
        "logits": {"kernel": np.full((width, classes), fill), "bias": np.full(classes, fill)},
    }


def test_all_but_the_head_is_pretrained() -> None:
    merged = replace_head(network(1.0, classes=10), network(2.0, classes=4))
    expected = {**network(2.0, classes=4), "stage1": {"kernel": np.ones((2, 3))}}
    assert tree.digest(merged) == tree.digest(expected)


def test_the_head_may_be_more_than_the_logits_and_of_the_same_shape() -> None:
    merged = replace_head(network(1.0, classes=4), network(2.0, classes=4), head="stage1/.*|logits/bias")
    assert [float(merged[part][leaf].flat[0]) for part, leaf in (("stage1", "kernel"), ("logits", "bias"))] == [2, 2]
    assert float(merged["logits"]["kernel"].flat[0]) == 1


def test_a_head_that_only_the_new_network_has_is_fresh() -> None:
    fresh = {**network(2.0, classes=4), "box": {"bias": np.zeros(4)}}
    merged = replace_head(network(1.0, classes=10), fresh, head="(logits|box)/.*")
    assert tree.names(merged) == tree.names(fresh)


@pytest.mark.parametrize(
    ("pretrained", "head", "message"),
    [
        (network(1.0, classes=10), "logit/.*", "head must match a parameter, got 'logit/.*', which matches none of"),
        (network(1.0, classes=10), "logits/bias", r"'logits/kernel' must have shape \(3, 4\), got \(3, 10\)"),
        (network(1.0, classes=10, width=5), "logits/.*", r"'stage1/kernel' must have shape \(2, 3\), got \(2, 5\)"),
        ({"logits": {"bias": np.zeros(3)}}, "logits/.*", "'stage1/kernel' must have shape .* got nothing"),
        (
            {**network(1.0, classes=10), "stage2": {"bias": np.zeros(3)}},
            "logits/.*",
            "fresh must have all pretrained parameters but the head, it has no 'stage2/bias'",
        ),
    ],
)
def test_what_is_not_the_same_network_is_refused(pretrained: Any, head: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace_head(pretrained, network(2.0, classes=4), head=head)


def test_rates_fall_by_a_factor_from_the_last_part_to_the_first() -> None:
    parts = ("stem/.*", r"stage\d/.*", "logits/.*")
    assert layerwise_rates(parts, decay=0.5) == (("stem/.*", 0.25), (r"stage\d/.*", 0.5), ("logits/.*", 1.0))
    assert layerwise_rates(parts[:1], decay=1.0) == (("stem/.*", 1.0),)


def test_the_rules_scale_updates_by_path() -> None:
    updates = {name: {"kernel": jnp.ones(2)} for name in ("stem", "stage1", "logits")}
    optimizer = scale_by_path(layerwise_rates(("stem/.*", r"stage\d/.*", "logits/.*"), decay=0.5))
    scaled, _ = optimizer.update(updates, optimizer.init(updates), updates)
    assert {name: float(part["kernel"][0]) for name, part in scaled.items()} == {
        "stem": 0.25,
        "stage1": 0.5,
        "logits": 1.0,
    }


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.1, float("nan")])
def test_a_decay_outside_of_0_to_1_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=f"decay must lie in \\(0, 1\\], got {decay}"):
        layerwise_rates(("a", "b"), decay=decay)


def test_no_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="parts must not be empty, got none"):
        layerwise_rates((), decay=0.5)
