import jax
import jax.numpy as jnp
import numpy as np

from fjdl import tree
from fjdl.losses import mean, softmax_cross_entropy
from fjdl.models import LogisticRegression
from fjdl.nn import pure
from tests.train.toy import digit_arrays

MODEL = pure(LogisticRegression(10))


def test_every_layer_has_the_parameters_of_its_row_in_the_table() -> None:
    params, _ = MODEL.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
    layers = MODEL.layers(jnp.zeros((1, 8, 8, 1)))
    assert {layer.name: layer.parameters for layer in layers if layer.parameters} == {
        name: tree.count(part) for name, part in params.items()
    }
    assert tree.count(params) == 64 * 10 + 10
    assert {p.dtype for p in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    assert layers[-1].output == (10,)


def test_it_starts_where_all_classes_are_equally_likely() -> None:
    x = jax.random.normal(jax.random.key(1), (5, 8, 8, 1))
    params, stats = MODEL.init(jax.random.key(0), x)
    logits, _ = MODEL.apply(params, stats, x)
    np.testing.assert_array_equal(logits, np.zeros((5, 10)))


def test_its_first_gradient_on_digits_is_the_closed_form() -> None:
    images, labels = (digit_arrays()[name][:200] for name in ("image", "label"))
    x = jnp.asarray(images / 16, jnp.float32)
    params, _ = MODEL.init(jax.random.key(0), x)
    loss, gradient = jax.value_and_grad(
        lambda p: mean(softmax_cross_entropy(MODEL.apply(p, {}, x)[0], jnp.asarray(labels)))
    )(params)
    error = 0.1 - np.eye(10)[labels]
    np.testing.assert_allclose(loss, np.log(10), rtol=1e-6)
    flat = images.reshape(200, 64) / 16
    np.testing.assert_allclose(gradient["logits"]["kernel"], flat.T @ error / 200, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(gradient["logits"]["bias"], error.mean(axis=0), rtol=1e-5, atol=1e-7)


def test_it_is_one_affine_map_of_all_inputs(rng: np.random.Generator) -> None:
    x, kernel, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 2, 4), (8, 10), (10,)))
    logits, _ = MODEL.apply({"logits": {"kernel": kernel, "bias": bias}}, {}, x)
    np.testing.assert_allclose(logits, x.reshape(3, 8) @ kernel + bias[None], rtol=1e-5, atol=1e-5)
