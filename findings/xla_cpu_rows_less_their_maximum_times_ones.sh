#!/usr/bin/env bash
# XLA on CPUs answers NaN for a matrix less the maximum of its rows, times a matrix all of whose entries are one number.
#
# jax 0.10.2 and 0.12.0.1, Linux x86-64: jit(lambda y: (y - y.max(1, keepdims=True)) @ ones((4096, 8))) is NaN in each of
# its entries, and so it is with the minimum or the sum of the rows in place of the maximum, with a product in place of the
# difference, and for the logarithm of a sum of exponentials that is written that way. Outside of jit, with one column of
# ones, and with ones that are an argument of the function, the answer is right. The optimized program is one fusion of the
# kind "__ynn_fusion". Exits with 0 where that is still so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.12}" -m venv "$folder/venv"
cat > "$folder/program.py" <<'PYTHON'
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_platforms", "cpu")
y = jnp.asarray(np.random.default_rng(0).standard_normal((64, 4096)), jnp.float32)

def times(columns, given=None):
    return lambda y: (y - y.max(1, keepdims=True)) @ (jnp.ones((4096, columns)) if given is None else given)

def wrong(found):
    exact = np.asarray(y, np.float64)
    exact = (exact - exact.max(1, keepdims=True)).sum(1, keepdims=True)
    found = np.asarray(found)
    return "NaN" if np.isnan(found).all() else "right" if np.allclose(found, exact, rtol=1e-4) else "other"

argument = jax.jit(lambda y, ones: times(8, ones)(y))(y, jnp.ones((4096, 8)))
print(jax.__version__, "jit", wrong(jax.jit(times(8))(y)), "eager", wrong(times(8)(y)),
      "one column", wrong(jax.jit(times(1))(y)), "argument", wrong(argument))
PYTHON
for version in 0.10.2 0.12.0.1; do
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==$version" "jaxlib==$version" numpy==2.5.1
  found=$("$folder/venv/bin/python" "$folder/program.py")
  echo "$found"
  [ "$found" = "$version jit NaN eager right one column right argument right" ]
done
