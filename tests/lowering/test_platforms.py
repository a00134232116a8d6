"""The form of an operation by the platform of the program, told by the numbers that come out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from fjdl.platforms import by_platform
from tests.meshes import EVERYWHERE, SPLIT


def chosen(x: jax.Array) -> jax.Array:
    return by_platform(x, cpu=lambda x: jnp.sin(x), elsewhere=lambda x: jnp.cos(x))


@pytest.mark.parametrize(
    ("platform", "form", "other"), [("cpu", "sine", "cosine"), ("tpu", "cosine", "sine"), ("cuda", "cosine", "sine")]
)
def test_a_program_holds_the_form_of_its_platform_alone(platform: str, form: str, other: str) -> None:
    text = jax.jit(chosen).trace(jnp.ones(3)).lower(lowering_platforms=(platform,)).as_text()
    assert f"stablehlo.{form} " in text
    assert f"stablehlo.{other} " not in text


def test_a_tpu_may_have_a_form_of_its_own() -> None:
    def own(x: jax.Array) -> jax.Array:
        return by_platform(x, tpu=lambda x: jnp.cos(x), elsewhere=lambda x: jnp.sin(x))

    traced = jax.jit(own).trace(jnp.ones(3))
    texts = {name: traced.lower(lowering_platforms=(name,)).as_text() for name in ("cpu", "tpu", "cuda")}
    assert ["stablehlo.cosine " in text for text in texts.values()] == [False, True, False]
    assert ["stablehlo.sine " in text for text in texts.values()] == [True, False, True]


def test_it_is_differentiated_mapped_and_called_without_a_program() -> None:
    x = jnp.arange(3.0)
    np.testing.assert_allclose(chosen(x), np.sin(np.arange(3.0)), rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(chosen)))(x), np.cos(np.arange(3.0)), rtol=1e-6)


def test_one_form_may_leave_out_an_operand_that_varies() -> None:
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])

    def either(x: jax.Array, y: jax.Array) -> jax.Array:
        return by_platform(x, y, cpu=lambda x, y: x, elsewhere=lambda x, y: x + y)

    mapped = jax.shard_map(either, mesh=mesh, in_specs=(EVERYWHERE, SPLIT), out_specs=SPLIT)
    np.testing.assert_array_equal(jax.jit(mapped)(jnp.ones(1), jnp.arange(2.0)), [1.0, 1.0])
