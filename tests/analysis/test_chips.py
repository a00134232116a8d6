import pytest

from fjdl.analysis.chips import CHIPS, Chip, chip_of

# Matrix units of a chip and their side: docs.cloud.google.com/tpu/docs, the page of each version.
UNITS = {"v2": (2, 128), "v3": (4, 128), "v4": (8, 128), "v5e": (4, 128), "v5p": (8, 128)}


def named(name: str) -> Chip:
    return next(chip for chip in CHIPS if chip.name == name)


@pytest.mark.parametrize(
    ("kind", "name", "teraflops", "gigabytes_per_second"),
    [
        ("TPU v2", "v2", 23, 350),  # two devices share a chip
        ("TPU v3", "v3", 61.5, 450),
        ("TPU v4", "v4", 275, 1228),
        ("TPU v5 lite", "v5e", 197, 819),
        ("TPU v5", "v5p", 459, 2765),
        ("TPU v6 lite", "v6e", 918, 1640),
        ("TPU7x", "tpu7x", 1153.5, 3690),
        ("NVIDIA A100-SXM4-80GB", "A100 80 GB", 312, 2039),
        ("NVIDIA H100 80GB HBM3", "H100 SXM", 989.4, 3350),
        ("nvidia h200", "H200", 989.4, 4800),
    ],
)
def test_a_device_is_a_chip_or_its_half(kind: str, name: str, teraflops: float, gigabytes_per_second: float) -> None:
    chip = chip_of(kind)
    assert chip is named(name)
    assert chip.device_flops == pytest.approx(teraflops * 1e12)
    assert chip.device_bandwidth == pytest.approx(gigabytes_per_second * 1e9)


@pytest.mark.parametrize("kind", ["cpu", "", "TPU", "TPU v5 lit", "NVIDIA GeForce RTX 4090"])
def test_unknown_devices_have_no_chip(kind: str) -> None:
    assert chip_of(kind) is None


@pytest.mark.parametrize("name", UNITS)
def test_the_peak_is_what_the_matrix_units_do_in_a_second(name: str) -> None:
    units, side = UNITS[name]
    chip = named(name)
    assert chip.clock
    assert chip.flops == pytest.approx(2 * units * side**2 * chip.clock, rel=0.01)


def test_memory_of_a_device() -> None:
    assert named("v5e").device_hbm == 16 * 2**30
    assert named("tpu7x").device_hbm == 96 * 2**30  # the half of a chip's


def test_no_two_chips_have_one_kind_or_name() -> None:
    kinds = [kind.lower() for chip in CHIPS for kind in chip.kinds]
    assert len(set(kinds)) == len(kinds)
    assert len({chip.name for chip in CHIPS}) == len(CHIPS)
