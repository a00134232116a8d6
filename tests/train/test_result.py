import json
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from fjdl.data.source import to_arrays
from fjdl.models import LogisticRegression
from fjdl.train.json_files import append_jsonl, encode_json
from fjdl.train.prepare import prepare
from fjdl.train.resident import place
from fjdl.train.result import final_result, hardware
from fjdl.train.rundir import open_run
from fjdl.train.summary import summarized
from fjdl.tree import digest
from tests.train.toy import mesh, quick, recipe, splits

MATRIX = np.array([[5, 1, 0], [2, 7, 1], [0, 0, 9]])


TOLD = recipe().told


def test_a_summary_adds_count_interval_and_f1_to_a_confusion_matrix() -> None:
    numbers = summarized(TOLD, {"accuracy": np.float32(0.84), "loss": np.float32(0.5), "confusion": MATRIX})
    labels = np.repeat(np.arange(3), MATRIX.sum(axis=1))
    predicted = np.concatenate([np.repeat(np.arange(3), row) for row in MATRIX])
    interval = binomtest(21, 25).proportion_ci(method="wilson")
    assert numbers["count"] == 25
    assert numbers["confusion"] == MATRIX.tolist()
    np.testing.assert_allclose(numbers["accuracy_interval"], [interval.low, interval.high], rtol=1e-5)
    np.testing.assert_allclose(numbers["macro_f1"], f1_score(labels, predicted, average="macro"), rtol=1e-5)
    assert json.loads(json.dumps(numbers)) == numbers


def test_without_a_confusion_matrix_a_summary_is_the_results_as_plain_numbers() -> None:
    numbers = summarized(TOLD, {"loss": np.float32(0.5), "error": np.arange(2)})
    assert numbers == {"loss": 0.5, "error": [0, 1]}
    assert [type(value) for value in numbers.values()] == [float, list]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"backend": "gpu", "device_count": 2, "device_kind": "NVIDIA H100"}, "2 x NVIDIA H100"),
        ({"backend": "tpu", "device_count": 8, "device_kind": "TPU v5 lite"}, "8 x TPU v5 lite"),
    ],
)
def test_an_accelerator_is_named_by_number_and_kind(environment: dict[str, object], words: str) -> None:
    assert hardware(environment) == words


def test_a_cpu_is_named_by_cores_and_model() -> None:
    words = hardware({"backend": "cpu", "cpu_count": 2, "device_count": 8, "device_kind": "cpu"})
    assert words.startswith("2 cores, ")
    assert len(words) > len("2 cores, ")


@pytest.mark.by_day_on_pin(1)
def test_the_result_measures_the_given_state_on_validation_and_test(tmp_path: Path) -> None:
    made = recipe(model=quick(LogisticRegression(10)), precision="float32", seed=5)
    prepared = prepare(made)
    compiled = prepared.program
    state, _ = compiled.epoch(compiled.init(), place(splits().train, mesh(8)))
    with open_run(tmp_path / "run", command=["python", "train it.py"], config={}) as run:
        for step in (4, 8, 12):
            append_jsonl(run.metrics, {"step": step, "epoch": step // 4})
            append_jsonl(run.timing, {"step": step, "epoch": step // 4, "seconds": 0.25})
        result = final_result(prepared, run, state, steps=12)
    assert encode_json(result)
    assert {name: result[name] for name in ("data", "seed", "precision", "parameters", "examples", "seconds")} == {
        "data": "some digits",
        "seed": 5,
        "precision": "float32",
        "parameters": 650,
        "examples": {"train": 100, "validation": 60, "test": 50},
        "seconds": 0.75,
    }
    assert (result["best_step"], result["best_epoch"], result["epochs"]) == (4, 1, 3)
    assert result["command"] == "python 'train it.py'"
    assert result["state"] == digest(jax.device_get(state))
    for part, source in (("validation", splits().validation), ("test", splits().test)):
        arrays, params = to_arrays(source), jax.device_get(state.params["logits"])
        logits = arrays["image"].reshape(-1, 64) @ params["kernel"] + params["bias"]
        expected = (logits.argmax(axis=1) == arrays["label"]).mean()
        np.testing.assert_allclose(result[part]["accuracy"], expected, rtol=1e-6)
        assert result[part]["count"] == source.length
