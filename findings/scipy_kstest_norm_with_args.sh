#!/usr/bin/env bash
# SciPy 1.18 refuses the parameters of a normal distribution in `scipy.stats.kstest(x, "norm", args=(loc, scale))`.
#
# scipy 1.18.1, Python 3.12, Linux: TypeError "ndtr() takes from 1 to 2 positional arguments but 3 were given". Scipy 1.17.1
# answers with statistic and p-value, and so does 1.18.1 for "expon" and for the frozen distribution `norm(loc, scale).cdf`,
# which is the way around. Exits with 0 where that is still so. PYTHON names a Python of at least 3.12.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.12}" -m venv "$folder/venv"
cat > "$folder/program.py" <<'PYTHON'
import numpy as np, scipy, scipy.stats as stats
x = np.random.default_rng(0).normal(1, 2, 100)
def answer(*args, **options):
    try:
        return f"{stats.kstest(*args, **options).pvalue:.6f}"
    except TypeError as error:
        return f"TypeError: {error}"
print(scipy.__version__, answer(x, stats.norm(1, 2).cdf), answer(x, "expon", args=(-9, 9)) != "", answer(x, "norm", args=(1, 2)), sep="|")
PYTHON
for version in 1.17.1 1.18.1; do
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "scipy==$version" numpy==2.5.5
  "$folder/venv/bin/python" "$folder/program.py" | tee "$folder/$version"
done
IFS='|' read -r _ frozen _ named < "$folder/1.17.1"
[ "$frozen" = "$named" ]
IFS='|' read -r _ again expon named < "$folder/1.18.1"
[ "$again" = "$frozen" ] && [ "$expon" = True ] && [[ "$named" == "TypeError: ndtr() takes from 1 to 2"* ]]
