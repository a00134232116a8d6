#!/usr/bin/env bash
# JAX's persistent compilation cache never replaces an entry that was written by half.
#
# jax 0.10.2, jaxlib 0.10.2, Python 3.11, Linux. An entry is written under its final name, not beside it and renamed, so a
# process that is killed, a full disk, or a second process that reads at the wrong moment meets half of one. The next
# process warns ("Error reading persistent compilation cache entry ... incomplete or truncated stream"), compiles the
# program anew, and does not write it, because a file of that name exists. So does every process after it, for good:
# the entry stays broken, its program is compiled in each process, and only deleting the file helps.
#
# Seen: the entry has 100 bytes before and after two further processes; each of them warned; after the file is deleted
# the third writes it whole. Exits with 0 where that is still so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv" 2>/dev/null || python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2
cat > "$folder/program.py" <<'PYTHON'
import sys, warnings
import jax
jax.config.update("jax_compilation_cache_dir", sys.argv[1])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    jax.jit(lambda x: 3 * x)(1.0).block_until_ready()
print(sum("Error reading persistent compilation cache entry" in str(w.message) for w in caught))
PYTHON
run() { JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/program.py" "$folder/cache"; }
size() { stat -c %s "$(entry)"; }
entry() { echo "$folder"/cache/*lambda*-cache; }
run > /dev/null
whole=$(size)
name=$(entry); head -c 100 "$name" > "$folder/half"
cp "$folder/half" "$(entry)"
first=$(run) second=$(run) kept=$(size)
rm "$(entry)"
third=$(run) again=$(size)
echo "whole entry $whole bytes; cut to 100, two processes warned $first and $second times and left $kept bytes;"
echo "after the file was deleted a process warned $third times and wrote $again bytes"
[ "$first $second $kept $third $again" = "1 1 100 0 $whole" ]
