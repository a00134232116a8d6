"""Options that choose neither shapes nor code may be traced: learned, or scheduled under one compilation."""

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, get_args, get_origin

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import losses as L

rng = np.random.default_rng(0)
LOGITS = jnp.asarray(rng.standard_normal((4, 3)), jnp.float32)
OTHERS = jnp.asarray(rng.standard_normal((4, 3)), jnp.float32)
LABELS = jnp.array([0, 2, 1, 1])
SHARES = jax.nn.softmax(LOGITS)
BOXES = jnp.array([[0.0, 0.0, 2.0, 2.0]] * 4)
COUNTS = jnp.array([1.0, 50.0, 200.0, 3.0])
OVERLAP = (SHARES[None], jax.nn.one_hot(LABELS, 3)[None])

OPTIONS: list[tuple[Callable[..., Any], str, tuple[float, ...], Callable[..., Any]]] = [
    (L.softmax_cross_entropy, "smoothing", (0.0, 0.1), partial(L.softmax_cross_entropy, LOGITS, LABELS)),
    (L.sigmoid_focal_loss, "gamma", (0.0, 1.0, 2.5), partial(L.sigmoid_focal_loss, LOGITS, SHARES)),
    (L.sigmoid_focal_loss, "alpha", (0.25,), partial(L.sigmoid_focal_loss, LOGITS, SHARES)),
    (L.softmax_focal_loss, "gamma", (0.0, 2.0), partial(L.softmax_focal_loss, LOGITS, LABELS)),
    (L.contrastive_loss, "margin", (1.5,), partial(L.contrastive_loss, LOGITS, OTHERS, LABELS == 1)),
    (L.nt_xent_loss, "temperature", (0.3,), partial(L.nt_xent_loss, LOGITS, OTHERS)),
    (
        L.supervised_contrastive_loss,
        "temperature",
        (0.2,),
        partial(L.supervised_contrastive_loss, LOGITS, LABELS),
    ),
    (L.triplet_margin_loss, "margin", (0.7,), partial(L.triplet_margin_loss, LOGITS, OTHERS, SHARES)),
    (L.semi_hard_triplets, "margin", (0.7,), lambda **o: L.semi_hard_triplets(LOGITS, LABELS, **o).valid * 1.0),
    (L.crammer_singer_loss, "margin", (0.7,), partial(L.crammer_singer_loss, LOGITS, LABELS)),
    (L.multi_margin_loss, "margin", (0.7,), partial(L.multi_margin_loss, LOGITS, LABELS)),
    (L.glove_loss, "x_max", (90.0,), partial(L.glove_loss, LOGITS, OTHERS, COUNTS, COUNTS, COUNTS)),
    (L.glove_loss, "alpha", (0.6,), partial(L.glove_loss, LOGITS, OTHERS, COUNTS, COUNTS, COUNTS)),
    (L.binary_cross_entropy, "eps", (0.3,), partial(L.binary_cross_entropy, SHARES, SHARES)),
    (L.categorical_cross_entropy, "eps", (0.3,), partial(L.categorical_cross_entropy, SHARES, SHARES)),
    (L.sparse_categorical_cross_entropy, "eps", (0.3,), partial(L.sparse_categorical_cross_entropy, SHARES, LABELS)),
    (L.localization_loss, "box_weight", (0.5,), partial(L.localization_loss, LOGITS, BOXES, LABELS, BOXES + 1)),
    (L.dice_loss, "smooth", (0.5,), partial(L.dice_loss, *OVERLAP, space=1)),
    (L.jaccard_loss, "smooth", (0.5,), partial(L.jaccard_loss, *OVERLAP, space=1)),
    *(
        (L.tversky_loss, name, (0.4,), partial(L.tversky_loss, *OVERLAP, space=1))
        for name in ("alpha", "beta", "smooth")
    ),
    *(
        (L.focal_tversky_loss, name, (0.8,), partial(L.focal_tversky_loss, *OVERLAP, space=1))
        for name in ("alpha", "beta", "smooth", "gamma")
    ),
    (L.huber_loss, "delta", (0.4, 2.0), partial(L.huber_loss, LOGITS, OTHERS)),
    (L.smooth_l1_loss, "beta", (0.0, 0.4), partial(L.smooth_l1_loss, LOGITS, OTHERS)),
    (L.quantile_loss, "quantiles", (0.3,), partial(L.quantile_loss, LOGITS, OTHERS)),
    (L.penalties.l1, "strength", (0.0, 0.5), partial(L.penalties.l1, {"kernel": LOGITS})),
    (L.penalties.l2, "strength", (0.0, 0.5), partial(L.penalties.l2, {"kernel": LOGITS})),
    (L.penalties.elastic_net, "l1", (0.5,), partial(L.penalties.elastic_net, {"kernel": LOGITS}, l2=0.1)),
    (L.penalties.elastic_net, "l2", (0.5,), partial(L.penalties.elastic_net, {"kernel": LOGITS}, l1=0.1)),
    (L.mape_loss, "eps", (0.5,), partial(L.mape_loss, LOGITS, OTHERS)),
    (L.poly_loss, "epsilon", (-1.0, 2.0), partial(L.poly_loss, LOGITS, LABELS)),
]


@pytest.mark.parametrize(("function", "name", "values", "call"), OPTIONS, ids=lambda x: getattr(x, "__name__", None))
def test_a_traced_option_gives_the_concrete_result_and_a_gradient(function, name, values, call):
    traced = jax.jit(lambda value: (call(**{name: value}), jax.grad(lambda v: jnp.sum(call(**{name: v})))(value)))
    for value, concrete in zip(values, jax.jit(lambda: [call(**{name: v}) for v in values])(), strict=True):
        result, slope = traced(value)
        np.testing.assert_allclose(result, concrete, rtol=2e-6, atol=2e-6)
        assert np.isfinite(slope), value
    assert traced._cache_size() == 1


@pytest.mark.parametrize(("function", "name", "values", "call"), OPTIONS, ids=lambda x: getattr(x, "__name__", None))
def test_a_concrete_array_as_an_option_is_checked_as_the_number_is(function, name, values, call):
    """NaN lies in no range; what takes it as a number takes it as an array."""
    assert refusal(call, name, jnp.float32(jnp.nan)) == refusal(call, name, float("nan"))


def refusal(call: Callable[..., Any], name: str, value: Any) -> str:
    try:
        call(**{name: value})
    except ValueError as error:
        return str(error)
    return ""


# Numbers of losses that are not traced, and why.
CHOOSES: dict[str, str] = {
    "adaptive_softmax_loss.capacities": "chooses shapes",
    "ctc_loss.blank": "names a class",
    "softmax_cross_entropy.ignore_label": "names a class",
    "example_weights.ignore_label": "names a class",
    "localization_loss.background": "names a class",
    "dice_loss.space": "counts axes",
    "jaccard_loss.space": "counts axes",
    "tversky_loss.space": "counts axes",
    "focal_tversky_loss.space": "counts axes",
    "multi_margin_loss.p": "chooses a formula",
    "triplet_margin_loss.p": "chooses a formula",
    "l1.rules": "a coefficient of 0 leaves parameters out",
    "l2.rules": "a coefficient of 0 leaves parameters out",
    "elastic_net.rules": "a coefficient of 0 leaves parameters out",
}


def numeric(hint: Any) -> bool:
    """Whether a number of Python is, or is part of, what the annotation takes."""
    return hint in (int, float) or any(numeric(part) for part in get_args(hint) if get_origin(hint) is not Callable)


def options_of(module: Any) -> Iterator[tuple[str, inspect.Parameter]]:
    names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    for function in map(partial(getattr, module), names):
        if inspect.isfunction(function) and function.__module__.startswith("fjdl."):
            parameters = inspect.signature(function).parameters.values()
            yield from ((f"{function.__name__}.{p.name}", p) for p in parameters if p.kind is p.KEYWORD_ONLY)


def test_every_number_that_a_loss_takes_may_be_traced_or_has_a_reason():
    tabled = {f"{function.__name__}.{name}" for function, name, _, _ in OPTIONS}
    of_losses = {name for module in (L, L.penalties) for name, p in options_of(module) if numeric(p.annotation)}
    assert not of_losses - tabled - CHOOSES.keys()
    assert of_losses >= CHOOSES.keys()
    assert not tabled & CHOOSES.keys()


def test_each_quantile_of_several_may_be_learned():
    levels = jnp.array([0.1, 0.5, 0.9])
    expected = L.quantile_loss(LOGITS, OTHERS, quantiles=(0.1, 0.5, 0.9))
    total = lambda q: jnp.sum(L.quantile_loss(LOGITS, OTHERS, quantiles=q))  # noqa: E731
    one_traced = jax.jit(lambda q: L.quantile_loss(LOGITS, OTHERS, quantiles=(q, 0.5, 0.9)))(0.1)
    np.testing.assert_allclose(L.quantile_loss(LOGITS, OTHERS, quantiles=levels), expected, rtol=1e-6)
    np.testing.assert_allclose(one_traced, expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.grad(total))(levels), np.mean(OTHERS - LOGITS, 0) * 4 / 3, rtol=1e-5)
    for wrong in ((0.1, 1.5, 0.9), jnp.array([0.1, 1.5, 0.9])):
        with pytest.raises(ValueError, match=r"^quantiles must lie in \(0, 1\), got "):
            L.quantile_loss(LOGITS, OTHERS, quantiles=wrong)


def test_slopes_by_options_equal_finite_differences():
    for call, name, at in (
        (partial(L.huber_loss, LOGITS, OTHERS), "delta", 0.4),
        (partial(L.smooth_l1_loss, LOGITS, OTHERS), "beta", 0.4),
        (partial(L.softmax_cross_entropy, LOGITS, LABELS), "smoothing", 0.1),
        (partial(L.sigmoid_focal_loss, LOGITS, SHARES), "gamma", 2.0),
        (partial(L.nt_xent_loss, LOGITS, OTHERS), "temperature", 0.5),
    ):
        total = jax.jit(jax.value_and_grad(lambda value, call=call, name=name: jnp.sum(call(**{name: value}))))
        slope = total(at)[1]
        difference = (total(at + 1e-2)[0] - total(at - 1e-2)[0]) / 2e-2
        np.testing.assert_allclose(slope, difference, rtol=2e-2, atol=1e-3)
