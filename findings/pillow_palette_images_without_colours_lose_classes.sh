#!/usr/bin/env bash
# Pillow writes a PNG of mode "P" with as few bits for a pixel as its palette has colours, whatever the pixels hold.
#
# Pillow 13.0.0, Python 3.12, Linux: an image of mode "P" that was made from bytes has no colours, and one bit is written for
# a pixel; class 2 of a mask comes back as 1. With four colours, two bits: class 4 comes back as 0. There is no warning. With
# a colour for each class, and in mode "L", all classes come back. Exits with 0 where that is still so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.12}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
cat > "$folder/program.py" <<'PYTHON'
import io, PIL
from PIL import Image

def back(classes, colours=None, mode="P"):
    image = Image.frombytes(mode, (len(classes), 1), bytes(classes))
    if colours:
        image.putpalette(list(range(3 * colours)))
    file = io.BytesIO()
    image.save(file, "PNG")
    return list(Image.open(io.BytesIO(file.getvalue())).tobytes())

print(PIL.__version__, back([0, 1, 2]), back([0, 1, 4], colours=4), back([0, 1, 4], colours=5), back([0, 1, 4], mode="L"))
PYTHON
found=$("$folder/venv/bin/python" -W error "$folder/program.py")
echo "$found"
[ "$found" = "13.0.0 [0, 1, 1] [0, 1, 0] [0, 1, 4] [0, 1, 4]" ]
