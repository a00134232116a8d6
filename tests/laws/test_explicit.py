"""Every row of `tests/cases` with arrays that are sharded over an explicit axis of a mesh."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec

from fjdl import augment, losses, metrics
from fjdl.explicit import axis_names
from fjdl.functional import conv2d, linear, max_pool2d
from fjdl.metrics.base import Metric
from tests.cases import CASES, Case
from tests.laws.rows import BY_NAME, FIRST, arguments, cases, composed, on, takes_arrays
from tests.laws.test_sharded import arrays_of, filled, result_and_gradients
from tests.meshes import SPLIT, value_and_gradients
from tests.support import assert_trees_close


def on_explicit_axis(arrays: Any) -> tuple[AbstractMesh, Any]:
    """Arrays as long as the first one, all of them sharded along their first axis, one row on each device."""
    length = next((x.shape[0] for x in jax.tree.leaves(arrays) if x.ndim), 1)
    mesh = AbstractMesh((max(length, 1),), ("data",), (AxisType.Explicit,))

    def typed(x: jax.Array) -> jax.ShapeDtypeStruct:
        axes = ["data" if axis == 0 and size == length > 0 else None for axis, size in enumerate(x.shape)]
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=NamedSharding(mesh, PartitionSpec(*axes)))

    return mesh, jax.tree.map(typed, arrays)


def form(case: Case) -> Any:
    """The axes in the row's types, numbered, which are all that `fjdl.explicit` goes by; else the row's own name."""
    signature = inspect.signature(case.function)
    hints = [p.annotation for p in signature.parameters.values()][: len(arguments(case))]
    axes = [axis_names(hint) for hint in (*hints, signature.return_annotation)]
    if None in axes or composed(case):
        return case.name
    numbers: dict[str, int] = {}
    return case.differentiable, *(
        tuple((name[0], numbers.setdefault(name, len(numbers))) for name in names) for names in axes
    )


def first_forms() -> list[Any]:
    """Every row of arrays, and by day the first of each form."""
    rows = {case.name: form(case) for case in CASES if takes_arrays(case)}
    first = {form: name for name, form in reversed(rows.items()) if name in FIRST}.values()
    return [on(BY_NAME[name], marks=() if name in first else (pytest.mark.slow,)) for name in rows]


@pytest.mark.parametrize("case", first_forms())
def test_operands_and_gradients_may_be_sharded_over_explicit_axes(case: Case) -> None:
    mesh, arrays = on_explicit_axis(arrays_of(case))
    with jax.sharding.use_abstract_mesh(mesh):
        _, slopes = jax.eval_shape(lambda *arrays: result_and_gradients(case, arrays), *arrays)
    wanted = [[x.sharding.spec for x in arrays[i]] for i in case.differentiable]
    assert [[x.sharding.spec for x in slope] for slope in slopes] == wanted


STREAMING = [case for case in CASES if case.name.startswith("metrics.base.measure")]


@cases(*STREAMING)
def test_streaming_metrics_take_batches_that_are_sharded_over_explicit_axes(case: Case) -> None:
    metric = next(x for x in jax.tree.leaves(case.function.args, is_leaf=lambda x: isinstance(x, Metric)))
    mesh, arrays = on_explicit_axis(arrays_of(case))

    def program(*arrays: Any) -> Any:
        state = metric.update(metric.init(), *filled(case, arrays))
        return metric.compute(metric.merge(state, metric.init()))

    with jax.sharding.use_abstract_mesh(mesh):
        jax.eval_shape(program, *arrays)


@pytest.mark.parametrize(
    "augment",
    [
        augment.each_image(augment.rand_augment),
        augment.each_image(augment.rand_augment, in_turn=True),
        augment.each_example(augment.on_image(partial(augment.random_crop, size=(4, 4)))),
        augment.alternating_flips(0),
        partial(augment.random_mixup, classes=3),
        partial(augment.random_cutmix, classes=3),
    ],
)
def test_augmented_batches_stay_sharded_over_explicit_axes(augment: Any) -> None:
    number, key = jnp.zeros(4, jnp.int32), jax.random.key(0)
    batch = {"image": jnp.zeros((4, 6, 6, 3), jnp.uint8), "label": number, "epoch": number, "index": number}
    mesh, batch = on_explicit_axis(batch)
    with jax.sharding.use_abstract_mesh(mesh):
        changed = jax.eval_shape(augment, key, batch)
    assert all(leaf.sharding.spec[0] == "data" for leaf in jax.tree.leaves(changed))


def images(rng: np.random.Generator) -> jax.Array:
    return jnp.asarray(rng.standard_normal((4, 6, 6, 3)), jnp.float32)


def scores(rng: np.random.Generator) -> jax.Array:
    return jnp.asarray(rng.standard_normal((4, 3)), jnp.float32)


def classes(rng: np.random.Generator) -> jax.Array:
    return jnp.asarray([0, 1, 2, 1])


WHOLE = PartitionSpec()


def matrix(predictions: jax.Array, labels: jax.Array) -> jax.Array:
    return metrics.measure(metrics.confusion_matrix(3), jnp.argmax(predictions, axis=1), labels)


def diagram(predictions: jax.Array, labels: jax.Array) -> Any:
    return metrics.measure(metrics.calibration(4), *metrics.top_class(jax.nn.softmax(predictions), labels))


HARD: dict[str, tuple[Callable[..., Any], tuple[Callable[..., jax.Array], ...], PartitionSpec]] = {
    "confusion_matrix": (matrix, (scores, classes), WHOLE),
    "roc_auc_score": (lambda p, y: metrics.roc_auc_score(y, jax.nn.softmax(p)), (scores, classes), WHOLE),
    "calibration": (diagram, (scores, classes), WHOLE),
    "supervised_contrastive_loss": (losses.supervised_contrastive_loss, (scores, classes), SPLIT),
    "nt_xent_loss": (losses.nt_xent_loss, (scores, scores), SPLIT),
    "softmax_cross_entropy": (losses.softmax_cross_entropy, (scores, classes), SPLIT),
    "linear": (lambda x: linear(x, jnp.ones((3, 2))), (scores,), SPLIT),
    "conv2d": (lambda x: conv2d(x, jnp.ones((3, 3, 3, 2))), (images,), SPLIT),
    "max_pool2d": (lambda x: max_pool2d(x, window=2), (images,), SPLIT),
}


@pytest.mark.parametrize(("function", "makers", "spec"), HARD.values(), ids=HARD.keys())
def test_values_and_shardings_over_explicit_axes(
    function: Any, makers: Any, spec: PartitionSpec, rng: np.random.Generator
) -> None:
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Explicit,), devices=jax.devices()[:2])
    arrays = [make(rng) for make in makers]
    split = [jax.device_put(x, NamedSharding(mesh, SPLIT)) for x in arrays]
    both = jax.jit(lambda *arrays: value_and_gradients(lambda x: function(x, *arrays[1:]), arrays[0]))
    with jax.set_mesh(mesh):
        value, (slope,) = both(*split)
    assert_trees_close((value, (slope,)), both(*arrays), rtol=1e-5, atol=1e-6)
    for leaf in jax.tree.leaves(value):
        assert leaf.sharding.is_equivalent_to(NamedSharding(mesh, spec), leaf.ndim)
    assert slope.sharding.is_equivalent_to(split[0].sharding, slope.ndim)
