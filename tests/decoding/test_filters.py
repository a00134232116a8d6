import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.decoding import min_p, repetition_penalty, tempered, top_k, top_p


def nucleus(logits: np.ndarray, mass: float) -> np.ndarray:
    """Token by token from the most probable one; tokens as probable as the last stay too."""
    p = np.exp(logits - logits.max())
    p /= p.sum()
    total, least = 0.0, np.inf
    for token in sorted(range(len(p)), key=lambda token: -p[token]):
        if total >= mass:
            break
        total, least = total + p[token], logits[token]
    return np.where(logits >= least, logits, -np.inf)


def test_the_nucleus_and_the_largest_are_those_found_token_by_token(rng: np.random.Generator) -> None:
    logits = np.round(3 * rng.standard_normal((40, 9)), 1).astype(np.float32)  # with ties
    logits[0], logits[1, 2:] = 1.0, -np.inf
    by_mass = jax.jit(lambda x, mass: top_p(x, mass=mass))  # a traced mass
    for mass in (1e-6, 0.3, 0.77, 0.999):
        np.testing.assert_array_equal(by_mass(logits, mass), [nucleus(row, mass) for row in logits])
    np.testing.assert_array_equal(by_mass(logits, 1.0), logits)
    for count in (1, 4, 8, 9, 20):
        least = np.sort(logits)[:, ::-1][:, min(count, 9) - 1 : min(count, 9)]
        np.testing.assert_array_equal(top_k(logits, count=count), np.where(logits >= least, logits, -np.inf))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    kept = np.where(p >= 0.2 * p.max(-1, keepdims=True) * (1 - 1e-6), logits, -np.inf)
    np.testing.assert_array_equal(min_p(logits, share=0.2), kept)
    np.testing.assert_array_equal(min_p(logits, share=0), logits)
    np.testing.assert_array_equal(
        min_p(logits, share=1), np.where(logits == logits.max(-1, keepdims=True), logits, -np.inf)
    )


def test_the_limits_of_temperature_and_of_logits() -> None:
    logits = jnp.array([[1.0, 5.0, 5.0, -jnp.inf], [jnp.inf, 0.0, jnp.inf, 1.0], [jnp.nan, 1.0, 2.0, 3.0]])
    cold = tempered(logits, temperature=0.0)
    np.testing.assert_array_equal(cold[0], [-np.inf, 0, -np.inf, -np.inf])
    np.testing.assert_array_equal(cold[1], [0, -np.inf, -np.inf, -np.inf])
    assert np.isnan(cold[2]).all()
    np.testing.assert_array_equal(
        tempered(logits - 100 * (logits == 1), temperature=1e-37)[0], [-np.inf, 0, 0, -np.inf]
    )
    np.testing.assert_array_equal(tempered(logits, temperature=4.0)[0], [-1, 0, 0, -np.inf])
    for change in (lambda x: top_k(x, count=2), lambda x: top_p(x, mass=0.5), lambda x: min_p(x, share=0.5)):
        assert np.isnan(change(logits)[2]).all()
        np.testing.assert_array_equal(change(logits)[1], [np.inf, -np.inf, np.inf, -np.inf])


def test_repeated_tokens_lose_on_both_sides_of_zero() -> None:
    logits, seen = jnp.array([2.0, -2.0, 0.0, -jnp.inf]), jnp.array([True, True, True, True])
    np.testing.assert_array_equal(repetition_penalty(logits, seen, penalty=1.25), np.float32([1.6, -2.5, 0, -np.inf]))
    np.testing.assert_array_equal(repetition_penalty(logits, ~seen, penalty=1.25), logits)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda x: tempered(x, temperature=-1.0), r"^temperature must be finite and not negative, got -1.0$"),
        (lambda x: tempered(x, temperature=np.inf), r"^temperature must be finite and not negative, got inf$"),
        (lambda x: top_k(x, count=0), r"^count must be at least 1, got 0$"),
        (lambda x: top_p(x, mass=0.0), r"^mass must lie in \(0, 1\], got 0.0$"),
        (lambda x: min_p(x, share=1.5), r"^share must lie in \[0, 1\], got 1.5$"),
        (lambda x: repetition_penalty(x, x > 0, penalty=0.0), r"^penalty must be positive and finite, got 0.0$"),
    ],
)
def test_options_outside_their_ranges_are_refused(call, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        call(jnp.zeros(3))
