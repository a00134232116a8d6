import inspect
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import metrics
from tests.support import ROOT


def test_on_selects_arrays_and_takes_the_mask_of_the_batch():
    metric = metrics.on(metrics.mean(), lambda outputs, batch: (outputs["y"] - batch["target"],))
    outputs, target = {"y": jnp.array([3.0, 5.0, 9.0])}, jnp.array([1.0, 1.0, 1.0])
    state = metric.update(metric.init(), outputs, {"target": target})
    state = metric.update(state, outputs, {"target": target, "example_mask": jnp.array([1.0, 0.0, 0.0])})
    assert metric.compute(state) == pytest.approx((2 + 4 + 8 + 2) / 4)


@pytest.mark.parametrize("metric", [metrics.accuracy(), metrics.top_k_accuracy(2)])
def test_a_scan_over_batches_equals_one_shot(rng, metric):
    logits, labels = rng.standard_normal((6, 4, 5)).astype(np.float32), rng.integers(0, 5, (6, 4))
    weights = rng.integers(0, 2, (6, 4)).astype(np.float32)
    on = metrics.on(metric, lambda outputs, batch: (outputs, batch["label"]))

    def step(state, batch):
        return on.update(state, batch["logits"], batch), None

    batches = {"logits": logits, "label": labels, "example_mask": weights}
    state, _ = jax.jit(lambda batches: jax.lax.scan(step, on.init(), batches))(batches)
    flat = metrics.measure(metric, logits.reshape(24, 5), labels.reshape(24), weights=weights.reshape(24))
    assert on.compute(state) == flat


def test_weights_per_example_hold_for_all_its_entries():
    values = jnp.array([[1.0, 3.0], [50.0, 70.0]])
    assert metrics.measure(metrics.mean(), values, weights=jnp.array([1.0, 0.0])) == 2
    assert metrics.measure(metrics.mean(), values, weights=jnp.array([[0.0, 1.0], [1.0, 0.0]])) == 26.5


def test_an_example_counts_as_much_as_its_weight():
    assert metrics.measure(metrics.mean(), jnp.array([0.0, 1.0]), weights=jnp.array([1.0, 3.0])) == 0.75
    assert metrics.measure(metrics.mean(), jnp.array([0.0, 1.0]), weights=jnp.array([1.0, -3.0])) == 1.5


def test_a_metrics_update_has_its_public_name_in_its_sentences():
    made = {getattr(metrics, name) for name in metrics.__all__ if inspect.isfunction(getattr(metrics, name))}
    options = {"bins": 2, "classes": 2, "k": 1, "labels": 2, "variables": 2, "data_range": 1.0}
    checked = 0
    for make in (make for make in made if inspect.signature(make).return_annotation is metrics.Metric):
        required = [p.name for p in inspect.signature(make).parameters.values() if p.default is p.empty]
        if not {*required} <= {*options}:
            continue
        with pytest.raises(ValueError, match=rf"^{make.__name__}\.update: argument `state` is missing"):
            make(**{name: options[name] for name in required}).update()
        checked += 1
    assert checked >= 33


@pytest.mark.parametrize("shape", [(3,), (2, 1), (2, 2, 1)])
def test_weights_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"^the shape of weights must be a beginning of \(2, 2\), got \("):
        metrics.measure(metrics.mean(), jnp.zeros((2, 2)), weights=jnp.ones(shape))


@pytest.mark.by_day_on_pin(0)
def test_importing_losses_and_metrics_stays_light():
    code = "import sys, fjdl.losses, fjdl.metrics; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert not {"flax", "orbax", "matplotlib", "grain", "sklearn", "optax"} & set(loaded.split())
