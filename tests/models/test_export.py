"""Networks that leave fjdl by `jax.export`, for any batch size and every platform."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from fjdl import models
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


BACKBONE = partial(models.VGG, stages=(1, 1, 1), widths=(4, 6, 8))
PIXELS_AND_BOXES = {
    "UNet": models.UNet(2, (4, 6)),
    "BackboneUNet": models.BackboneUNet(2, BACKBONE, ("stage1", "stage2"), (4,)),
    "FCN": models.FCN(3, BACKBONE, ("pool3", "pool2", "pool1"), (2, 2, 2), hidden=(5,), window=3),
    "DenseFCN": models.DenseFCN(3, BACKBONE, "stage3", width=4),
    "SegNet": models.SegNet(3, (4, 6), (2, 2)),
    "DeepLabV3": models.DeepLabV3(3, BACKBONE, "stage3", width=4, rates=(1, 2)),
    "DeepLabV3Plus": models.DeepLabV3Plus(3, BACKBONE, ("stage1", "stage3"), width=4, narrow=2, rates=(1,)),
    "RetinaNet": models.RetinaNet(3, BACKBONE, ("stage2", "stage3"), extra=1, anchors=2, width=4, convs=1),
    "SSD": models.SSD(3, widths=(4, 4, 4), first=1, anchors=2),
    "YOLO": models.YOLO(4, BACKBONE, "pool2", anchors=2, width=8),
    "Localizer": models.Localizer(4, BACKBONE, "stage3", pooled=2),
    "Landmarks": models.Landmarks(5, BACKBONE, "stage3"),
}


@pytest.mark.parametrize("exported", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["traced", "exported"])
@pytest.mark.parametrize("name", PIXELS_AND_BOXES)
def test_networks_of_pixels_and_boxes_leave_the_number_of_images_open(name: str, exported: bool) -> None:
    """Traced by day, and exported for all three platforms at night; of one image each output has one row."""
    model = pure(PIXELS_AND_BOXES[name])

    def images(count: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((count, 16, 24, 3), jnp.float32)

    params, stats = jax.eval_shape(model.init, jax.random.key(0), images(1))
    apply = jax.jit(lambda params, stats, x: model.apply(params, stats, x)[0])
    (count,) = jax.export.symbolic_shape("n")
    if exported:
        program = jax.export.export(apply, platforms=("cpu", "cuda", "tpu"))(params, stats, images(count))
        several = program.out_avals
    else:
        several = jax.tree.leaves(apply.eval_shape(params, stats, images(count)))
    alone = jax.tree.leaves(apply.eval_shape(params, stats, images(1)))
    for left_open, one in zip(several, alone, strict=True):
        assert left_open.shape == (count, *one.shape[1:])
        assert one.shape[0] == 1
