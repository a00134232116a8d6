"""Every public reader of files, each with valid files to begin from."""

import gzip
import hashlib
import io
import json
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from PIL import Image

from fjdl import transfer
from fjdl.data import cifar, files, image_folder, language, pickled_arrays, translation
from fjdl.data.idx import parse_idx
from fjdl.data.own import npz_files, table_files
from fjdl.data.text import formats, lines, vectors, vocabulary
from fjdl.data.vision import coco_files, images, masks, omniglot, run_lengths, voc, xml_files, yolo
from fjdl.transfer import legacy
from tests.data.cifar_files import pickled

FOLDER = Path(tempfile.mkdtemp(prefix="parsers-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
WORDS = vocabulary.Vocabulary(("<unk>", "a", "b"), vocabulary.Specials(unk="<unk>", pad=None, bos=None, eos=None))
READ = table_files.Format(missing=("",))


@dataclass(frozen=True)
class Parser:
    """A reader, what it is called with, and the files that it accepts."""

    readers: tuple[Callable[..., Any], ...]
    read: Callable[[Path], Any]
    seeds: tuple[bytes, ...]
    suffix: str = ".bin"

    def __call__(self, content: bytes) -> Any:
        path = FOLDER / f"file{self.suffix}"
        path.write_bytes(content)
        return self.read(path)


def _saved(write: Callable[[Any], Any]) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def _zip(members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    def write(stream: io.BytesIO) -> None:
        with zipfile.ZipFile(stream, "w", kind) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return _saved(write)


def _image(kind: str, *, mode: str = "RGB", side: int = 5) -> bytes:
    picture = Image.fromarray(np.arange(side * side * 3, dtype=np.uint8).reshape(side, side, 3)).convert(mode)
    return _saved(lambda stream: picture.save(stream, kind))


def _file(write: Callable[[Path], Any]) -> bytes:
    path = FOLDER / "made"
    write(path)
    content = path.read_bytes()
    path.unlink()
    return content


IMAGE = FOLDER / "image.png"
IMAGE.write_bytes(_image("PNG"))
BATCH = pickled(np.zeros((1, 3072), np.uint8), np.array([3]), wide=False)
RECORD = bytes([3]) + bytes(3072)
IDX = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4])
CSV = b'width,colour,label\n1.5,red,a\n2,"green ""x""",b\n,blue,a\n'
XML = (
    b"<annotation><size><width>5</width><height>5</height></size><object><name>cat</name><difficult>0</difficult>"
    b"<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object></annotation>"
)
COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 4}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "area": 4, "iscrowd": 0,
             "segmentation": [[0, 0, 2, 0, 2, 2]]},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "area": 4, "iscrowd": 1,
             "segmentation": {"size": [4, 4], "counts": [2, 2, 12]}},
        ],
    }
).encode()  # fmt: skip
NPZ = _saved(lambda stream: np.savez(stream, x=np.eye(2), y=np.array(["a", "b"])))
PACKED = _saved(lambda stream: np.savez_compressed(stream, x=np.eye(3), y=np.arange(3)))
TENSORS = safetensors.numpy.save({"w": np.eye(2, dtype=np.float32), "b": np.zeros(2, np.int8)}, {"made": "here"})
OBJECT = (
    b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
    b"X\x01\0\0\x000X\x03\0\0\0cpuK\x04tQK\0K\x02K\x02\x86K\x02K\x01\x86\x89ccollections\nOrderedDict\n)RtRs."
)
NUMBERS = np.arange(4, dtype="<f4").tobytes()
CHAIN = (
    b"".join(pickle.dumps(each, 2) for each in (legacy.MAGIC, legacy.PROTOCOL, {"little_endian": True}))
    + OBJECT + pickle.dumps(["0"], 2) + (4).to_bytes(8, "little") + NUMBERS
)  # fmt: skip
TEXTS = dict.fromkeys(("train", "valid", "test"), (3, hashlib.sha256(b"abc").hexdigest()))
VECTORS = np.array([1, 2], "<f4").tobytes()


def _coco(path: Path) -> None:
    file = coco_files.read_coco(path)
    for image in file.images:
        file.objects(path.parent, image)
        file.masks(image)


def _table(path: Path) -> None:
    table_files.opened(path, READ).rows(["width", "colour", "label"], {"width": "number", "colour": "category"})


def _parsers() -> dict[str, Parser]:
    return {
        "idx": Parser((parse_idx,), lambda path: parse_idx(path.read_bytes(), path=path), (IDX,)),
        "cifar binary": Parser(
            (cifar.read_binary,),
            lambda path: cifar.read_binary(path.read_bytes(), path=path, classes=(10,), use=0), (RECORD,),
        ),
        "cifar pickle": Parser(
            (cifar.read_pickled, pickled_arrays.read_array_pickle),
            lambda path: cifar.read_pickled(path.read_bytes(), path=path, classes=10, use="labels"), (BATCH,),
        ),
        "gzip": Parser((files.read_gzip,), lambda path: files.read_gzip(path, limit=2**16), (gzip.compress(IDX),)),
        "npz": Parser((npz_files.read_npz,), npz_files.read_npz, (NPZ, PACKED), ".npz"),
        "table": Parser((table_files.opened,), _table, (CSV,), ".csv"),
        "csv": Parser((formats.read_csv, formats.read_fields), formats.read_csv, (CSV,)),
        "tsv": Parser((formats.read_tsv,), formats.read_tsv, (CSV.replace(b",", b"\t"),)),
        "labelled lines": Parser((formats.read_labelled_lines,), formats.read_labelled_lines, (b"good film\nbad x\n",)),
        "parallel": Parser(
            (formats.read_parallel,), lambda path: formats.read_parallel({"en": path, "de": path}), (b"a b\nc\n",)
        ),
        "lines": Parser((lines.read_lines, lines.iterate_lines, lines.read_text), lines.read_lines, (b"\xc3\xa9\n",)),
        "lines gzip": Parser((lines.raw_lines,), lines.read_lines, (gzip.compress(b"a\nb\n"),), ".gz"),
        "glove": Parser((vectors.read_glove,), lambda path: vectors.read_glove(path, WORDS), (b"a 1 2\nb 3 -4e1\n",)),
        "word2vec text": Parser(
            (vectors.read_word2vec_text,), lambda path: vectors.read_word2vec_text(path, WORDS),
            (b"2 2\na 1 2\nb 3 4\n",),
        ),
        "word2vec binary": Parser(
            (vectors.read_word2vec_binary,), lambda path: vectors.read_word2vec_binary(path, WORDS),
            (b"2 2\na " + VECTORS + b"\nb " + VECTORS + b"\n",),
        ),
        "vocabulary": Parser(
            (vocabulary.load_vocabulary,), vocabulary.load_vocabulary, (vocabulary.as_json(WORDS).encode(),)
        ),
        "dates": Parser((translation.read_dates,), translation.read_dates, (b"9 may 1998_1998-05-09\n",)),
        "coco": Parser((coco_files.read_coco, run_lengths.decode_run_lengths, run_lengths.expanded), _coco, (COCO,)),
        "xml": Parser((xml_files.read_xml,), xml_files.read_xml, (XML,)),
        "voc": Parser((voc.read_voc,), lambda path: voc.read_voc(path, IMAGE), (XML,)),
        "yolo": Parser(
            (yolo.read_yolo,), lambda path: yolo.read_yolo(path, IMAGE, classes=("a", "b")), (b"0 0.5 0.5 0.2 0.2\n",)
        ),
        "yolo classes": Parser((yolo.read_classes,), yolo.read_classes, (b"cat\ndog\n",)),
        "image": Parser(
            (image_folder.decode, image_folder.decode_bytes, images.read_image, images.image_size, image_folder.opened),
            lambda path: image_folder.decode(path, size=4),
            (_image("PNG"), _image("JPEG"), _image("BMP"), _image("PNG", mode="P")),
        ),
        "mask": Parser((masks.read_mask,), masks.read_mask, (_image("PNG", mode="L"), _image("PNG", mode="P"))),
        "omniglot": Parser(
            (omniglot.read_drawings,), omniglot.read_drawings,
            (_zip({"images/Greek/character01/0001_01.png": _image("PNG", mode="L", side=105)}),),
        ),
        "wikitext": Parser(
            (language.read_wikitext,), lambda path: language.read_wikitext(path, TEXTS),
            (_zip(dict.fromkeys(TEXTS, b"abc")),),
        ),
        "safetensors": Parser(
            (transfer.load_safetensors, transfer.read_metadata), transfer.load_safetensors, (TENSORS,)
        ),
        "torch pickle": Parser(
            (transfer.load_torch_pickle,), transfer.load_torch_pickle,
            (_zip({"a/data.pkl": OBJECT, "a/data/0": NUMBERS}, zipfile.ZIP_STORED), CHAIN),
        ),
    }  # fmt: skip


PARSERS = _parsers()
