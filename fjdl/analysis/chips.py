"""Peak rates and memory of accelerators, as their makers publish them: what a share of the peak is a share of.

TPUs: docs.cloud.google.com/tpu/docs, pages v2 to v6e and tpu7x (bfloat16 peak, HBM capacity and bandwidth of a chip).
Clocks: Jouppi et al., "TPU v4" (ISCA 2023), up to v4; peak / (2 · MXUs · 128²) for v5e and v5p; the utilization
viewer of openxla/xprof for v6e and tpu7x. GPUs: NVIDIA's data sheets of A100, H100 and H200, dense, without sparsity.
"""

import dataclasses

from fjdl.typing import typed

GIB = 2**30
GB = 10**9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
    """What one accelerator chip can do; JAX shows a chip as one device, or as two where `devices` is 2."""

    name: str  # as clouds and topologies write it, such as v5e
    kinds: tuple[str, ...]  # the `device_kind` strings of JAX
    flops: float  # bfloat16 peak of a chip, floating-point operations per second
    hbm: int  # bytes of a chip's memory
    bandwidth: float  # of a chip's memory, bytes per second
    devices: int = 1  # JAX devices that share the chip
    clock: float | None = None  # cycles per second of a TPU's cores; GPUs change theirs

    @property
    def device_flops(self) -> float:
        """The bfloat16 peak of one JAX device, floating-point operations per second."""
        return self.flops / self.devices

    @property
    def device_hbm(self) -> int:
        """Bytes of memory of one JAX device."""
        return self.hbm // self.devices

    @property
    def device_bandwidth(self) -> float:
        """Bytes per second between one JAX device and its memory."""
        return self.bandwidth / self.devices


CHIPS = (
    Chip(name="v2", kinds=("TPU v2",), flops=46e12, hbm=16 * GIB, bandwidth=700e9, devices=2, clock=0.7e9),
    Chip(name="v3", kinds=("TPU v3",), flops=123e12, hbm=32 * GIB, bandwidth=900e9, devices=2, clock=0.94e9),
    Chip(name="v4", kinds=("TPU v4",), flops=275e12, hbm=32 * GIB, bandwidth=1228e9, clock=1.05e9),
    Chip(
        name="v5e", kinds=("TPU v5 lite", "TPU v5e"), flops=197e12, hbm=16 * GIB, bandwidth=819e9, clock=1.5e9
    ),
    Chip(name="v5p", kinds=("TPU v5", "TPU v5p"), flops=459e12, hbm=95 * GIB, bandwidth=2765e9, clock=1.75e9),
    Chip(
        name="v6e", kinds=("TPU v6 lite", "TPU v6e"), flops=918e12, hbm=32 * GIB, bandwidth=1640e9, clock=1.75e9
    ),
    Chip(
        name="tpu7x",
        kinds=("TPU7x", "TPU v7x"),
        flops=2307e12,
        hbm=192 * GIB,
        bandwidth=7380e9,
        devices=2,
        clock=1.9e9,
    ),
    Chip(
        name="A100 40 GB",
        kinds=("NVIDIA A100-SXM4-40GB", "NVIDIA A100-PCIE-40GB"),
        flops=312e12,
        hbm=40 * GB,
        bandwidth=1555e9,
    ),
    Chip(name="A100 80 GB", kinds=("NVIDIA A100-SXM4-80GB",), flops=312e12, hbm=80 * GB, bandwidth=2039e9),
    Chip(name="A100 80 GB PCIe", kinds=("NVIDIA A100 80GB PCIe",), flops=312e12, hbm=80 * GB, bandwidth=1935e9),
    Chip(name="H100 SXM", kinds=("NVIDIA H100 80GB HBM3",), flops=989.4e12, hbm=80 * GB, bandwidth=3350e9),
    Chip(name="H100 PCIe", kinds=("NVIDIA H100 PCIe",), flops=756e12, hbm=80 * GB, bandwidth=2000e9),
    Chip(name="H100 NVL", kinds=("NVIDIA H100 NVL",), flops=835e12, hbm=94 * GB, bandwidth=3900e9),
    Chip(name="H200", kinds=("NVIDIA H200",), flops=989.4e12, hbm=141 * GB, bandwidth=4800e9),
)  # fmt: skip


@typed
def chip_of(device_kind: str) -> Chip | None:
    """The chip whose devices JAX calls `device_kind`, in any case of letters; None for one that is not in the table.

    >>> chip = chip_of("TPU v5 lite")
    >>> chip.name, chip.device_flops
    ('v5e', 197000000000000.0)
    >>> chip_of("cpu") is None
    True
    """
    wanted = device_kind.strip().lower()
    return next((chip for chip in CHIPS if wanted in (kind.lower() for kind in chip.kinds)), None)
