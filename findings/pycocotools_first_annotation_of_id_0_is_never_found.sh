#!/usr/bin/env bash
# pycocotools takes the object whose annotation has the id 0 for not found, however well a detection fits it.
#
# pycocotools 2.0.11, Python 3.12, Linux: one image, one object, one detection of the same box. With the annotation's id 1 the
# average precision is 1, with the id 0 it is 0: matches are kept by id, and 0 stands for none. Files that count their
# annotations from 0 are read without a word. Exits with 0 where that is still so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.12}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 numpy==2.5.1
cat > "$folder/program.py" <<'PYTHON'
import contextlib, io
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

def precision(number):
    truth = COCO()
    box = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 50], "area": 2500, "iscrowd": 0}
    truth.dataset = {
        "images": [{"id": 1, "width": 100, "height": 100}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [{"id": number, **box}],
    }
    truth.createIndex()
    found = truth.loadRes([{"image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 50], "score": 0.9}])
    evaluation = COCOeval(truth, found, "bbox")
    evaluation.evaluate(), evaluation.accumulate(), evaluation.summarize()
    return evaluation.stats[0]

with contextlib.redirect_stdout(io.StringIO()):
    scores = precision(1), precision(0)
print(*(f"{score:.1f}" for score in scores))
PYTHON
found=$("$folder/venv/bin/python" "$folder/program.py")
echo "pycocotools 2.0.11: average precision $found"
[ "$found" = "1.0 0.0" ]
