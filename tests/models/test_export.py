"""Networks that leave fjdl by `jax.export`, for any batch size and every platform."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from fjdl.nn import pure
from tests.models.families import FAMILIES
from tests.models.parity import random_variables

pytest.importorskip("flatbuffers", reason="jax.export writes with flatbuffers, of the extra `export`")

PROGRAM = """
import sys
from pathlib import Path
import jax, numpy as np
for path in sorted(Path(sys.argv[1]).glob("*.bin")):
    exported = jax.export.deserialize(bytearray(path.read_bytes()))
    assert set(exported.platforms) == {"cpu", "cuda", "tpu"}
    np.save(path.with_suffix(".out.npy"), exported.call(np.load(path.with_suffix(".npy"))))
assert not {"fjdl", "flax"} & set(sys.modules)
"""


def export(module: linen.Module, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[bytes, np.ndarray, Any]:
    """The network as bytes, an input of three images, and what the network makes of them."""
    model = pure(module)
    x = rng.standard_normal((3, *shape)).astype(np.float32)
    params, stats = random_variables(model, x)

    @jax.jit
    def predict(x: Any) -> Any:
        return model.apply(params, stats, x)[0]

    (batch,) = jax.export.symbolic_shape("batch")
    inputs = jax.ShapeDtypeStruct((batch, *shape), jnp.float32)
    exported = jax.export.export(predict, platforms=("cpu", "cuda", "tpu"))(inputs)
    return exported.serialize(), x, predict(x)


QUICK = ("LeNet5", "ResNet")
REST = tuple(name for name in FAMILIES if name not in QUICK)


@pytest.mark.parametrize("names", [QUICK, pytest.param(REST, marks=pytest.mark.slow)], ids=["quick", "rest"])
def test_exported_networks_run_without_fjdl(names: tuple[str, ...], tmp_path: Path, rng: np.random.Generator) -> None:
    expected = {}
    for name in names:
        written, x, expected[name] = export(*FAMILIES[name], rng)
        (tmp_path / f"{name}.bin").write_bytes(written)
        np.save(tmp_path / f"{name}.npy", x)
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    for name, outputs in expected.items():
        atol = 1e-5 * float(np.abs(outputs).max())
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.out.npy"), outputs, rtol=1e-4, atol=atol, err_msg=name)
