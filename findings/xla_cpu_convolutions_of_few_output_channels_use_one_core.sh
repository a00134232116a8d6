#!/usr/bin/env bash
# XLA on CPUs computes a float32 convolution of up to 64 output channels on one core, however much there is to compute.
#
# jax 0.10.2, Linux x86-64, an idle machine of 2 cores: a 3 x 3 convolution of 8 images of 32 x 32 keeps 1.00 cores busy from
# 64 to 64 and from 512 to 64 channels, and 1.90 from 64 to 256. The convolution from 64 to 64 channels keeps 1.91 busy
# where nothing but the sum of its result is asked for. Larger images and more of them change nothing. The optimized program
# is one fusion of the kind "__ynn_fusion". jax 0.12.0.1 keeps 1.50, 1.95 and 1.96 cores busy. Exits with 0 where that is
# still so; needs 2 idle cores.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.12}" -m venv "$folder/venv"
cat > "$folder/program.py" <<'PYTHON'
import statistics, time
import jax, jax.numpy as jnp
jax.config.update("jax_platforms", "cpu")

def cores(channels, outputs, *, reduced=False):
    """Processor time of a jitted 3 x 3 convolution of 8 images of 32 x 32 over the time that passes."""
    x, kernel = jnp.ones((8, 32, 32, channels)), jnp.ones((3, 3, channels, outputs))
    layout = ("NHWC", "HWIO", "NHWC")
    def run(x, kernel):
        y = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)
        return y.sum() if reduced else y
    run = jax.jit(run).lower(x, kernel).compile()
    found = []
    for _ in range(7):
        start, used = time.perf_counter(), time.process_time()
        for _ in range(20):
            run(x, kernel).block_until_ready()
        found.append((time.process_time() - used) / (time.perf_counter() - start))
    return statistics.median(found)

found = [cores(64, 64), cores(512, 64), cores(64, 256), cores(64, 64, reduced=True)]
print(jax.__version__, *(f"{x:.2f}" for x in found), "".join("one " if x < 1.2 else "more " for x in found))
PYTHON
for version in 0.10.2 0.12.0.1; do
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==$version" "jaxlib==$version" numpy==2.5.1
  found=$("$folder/venv/bin/python" "$folder/program.py")
  echo "$found"
  case "$version $found" in
    0.10.2*"one one more more ") ;;
    0.12.0.1*"more more more more ") ;;
    *) exit 1 ;;
  esac
done
