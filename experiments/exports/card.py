"""What a model card says, as JSON and as a page."""

import hashlib
import importlib.metadata
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import fjdl
from experiments.evaluate import LoadedRun
from experiments.exports.program import BATCH, Portable
from experiments.fingerprint import same_code
from fjdl.data.source import Source
from fjdl.train.documents import (
    CODE,
    CONFIG,
    ENVIRONMENT,
    read_result,
    read_sealed,
    read_sealed_text,
    read_text,
)
from fjdl.train.rundir import RunDirectory
from fjdl.train.summary import COUNT, intervals
from fjdl.transfer import quantized_forms
from fjdl.tree import names

WEIGHTS = """
`safetensors.numpy.load_file("model.safetensors")` has `params/…` and `stats/…`, by the paths of the network's parts.
Kernels are [..., inputs, outputs]; images are [n, rows, columns, channels].
"""
QUANTIZED = """
A quantized array has `…/values`, `…/scale` and, where its range is not symmetric, `…/zero_point`. It stands for
(integer - zero_point) * scale, or for levels[integer + 2^(bits-1)] * scale where card.json has levels. A scale counts
for as many neighbours along an axis as its own axis is shorter. `fjdl.transfer.load_quantized("model.safetensors")` has
them as `fjdl.quant.Quantized`.
"""
PACKED = """
Integers, with 2^(bits-1) added, lie in fields of 4, 2 and 1 bits that make up their bits, the lowest ones first. The
fields of one width lie together along the last axis: of m bytes, byte i has those of the integers i, i + m, i + 2 m, …
from its lowest bits on.
"""
SEEN = 256  # examples of streamed data whose lowest and highest values are told
PACKAGES = ("jax", "jaxlib", "flax", "numpy", "safetensors")


def card_of(
    run: LoadedRun,
    options: Any,
    program: Portable,
    quantization: Mapping[str, Any] | None,
    params: Any,
    *,
    files: Sequence[Path],
    difference: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """All that is known of the model: data, results, training, inputs, outputs, files with their sha256, versions."""
    result = read_result(options.run / "result.json")
    quantized = None if quantization is None else {**quantization, "arrays": quantized_forms({"params": params})}
    return {
        "card": 1,
        "name": options.run.resolve().name,
        "license": options.license,
        "data": {"name": result["data"], "examples": result["examples"], "classes": list(run.splits.classes)},
        "results": {
            "headline": result["headline"], "better": run.recipe.told.better,
            "validation": result["validation"], "test": result["test"],
        },
        "quantization": quantized,
        "training": training_of(options.run, result),
        "program": {
            "platforms": list(options.platforms),
            "batch": options.batch_size or "any",
            "calling_convention": program.convention,
            "inputs": {name: input_of(run.splits.train, name, shape) for name, shape in program.inputs.items()},
            "outputs": {
                name or "outputs": shape_of(leaf)
                for name, leaf in zip(names(program.outputs), jax.tree.leaves(program.outputs), strict=True)
            },
            "carry": run.recipe.carry is not None,
            "difference": difference,
        },
        "files": {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in files},
        "versions": {"fjdl": fjdl.__version__, **{name: importlib.metadata.version(name) for name in PACKAGES}},
    }  # fmt: skip


def training_of(run: Path, result: Mapping[str, Any]) -> dict[str, Any]:
    """How the model came about: the command, the config with its text, the commit, the machine."""
    config, code = read_sealed(run / "config.json", CONFIG), read_sealed(run / "git.json", CODE)
    path = kept if (kept := RunDirectory(path=run).config_text).exists() else Path(config["config"])
    told = (
        "command",
        "commit",
        "seed",
        "precision",
        "parameters",
        "best_epoch",
        "epochs",
        "seconds",
        "hardware",
        "state",
    )
    return {
        **{name: result[name] for name in told},
        "uncommitted_changes": code["dirty"],
        "config": config["config"],
        "config_sha256": config["sha256"],
        "config_changed_since": not same_code(path, config["sha256"]),
        "config_text": read_sealed_text(path) if path == kept else read_text(path),
        "arguments": config["arguments"],
        "environment": read_sealed(run / "env.json", ENVIRONMENT),
    }


def input_of(source: Source, name: str, shape: jax.ShapeDtypeStruct) -> dict[str, Any]:
    """Shape and dtype of an input, and its lowest and highest value in training examples, in how many of them."""
    count = min(source.length, SEEN) if source.streamed else source.length
    values = np.asarray(source.element(np.arange(count))[name])
    ordered = values.size and values.dtype.kind != "c"
    bounds = {} if not ordered else {"lowest": values.min().item(), "highest": values.max().item()}
    return {**shape_of(shape), **bounds, "seen": count}


def shape_of(array: Any) -> dict[str, Any]:
    """The lengths of the axes, an open one by its name, and the dtype."""
    return {"shape": [n if isinstance(n, int) else str(n) for n in array.shape], "dtype": str(np.dtype(array.dtype))}


def sha256(path: Path) -> str:
    """That of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def page(card: Mapping[str, Any]) -> str:
    """The card as Markdown, with the fields that sites of models read at its top."""
    parts = (_head(card), _results(card), _use(card), _weights(card), _data(card), _training(card))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(card: Mapping[str, Any]) -> Iterator[str]:
    yield from ("---", f"license: {card['license']}", "library_name: jax", "tags: [jax, fjdl]", "---", "")
    if card["license"] == "unknown":
        yield from ("<!-- Choose a licence, and write its name in place of `unknown` above and in card.json. -->", "")
    training, quantization = card["training"], card["quantization"]
    kind = "" if quantization is None else f", kernels in {quantization['bits']} bits ({quantization['scheme']})"
    yield from (f"# {card['name']}", "")
    yield f"{training['parameters']:,} parameters, trained on {card['data']['name']} by `{training['config']}`{kind}."


def _results(card: Mapping[str, Any]) -> Iterator[str]:
    results, quantization = card["results"], card["quantization"]
    yield from ("## Results", "", "| part | result | value | 95 % interval | examples |", "|---|---|---|---|---|")
    yield from _rows("validation", results["validation"])
    yield from _rows("test" if quantization is None else "test, before quantization", results["test"])
    if quantization is not None:
        yield from _rows("test, as written here", quantization["test"])
    yield from ("", "The epoch was chosen by the validation part.")


def _rows(part: str, numbers: Mapping[str, Any]) -> Iterator[str]:
    bounds = intervals(numbers)
    for name, value in numbers.items():
        if isinstance(value, float):
            interval = "{:.4f} to {:.4f}".format(*bounds[name]) if name in bounds else ""
            count = numbers.get(name + COUNT, numbers.get("count", ""))
            yield f"| {part} | {name} | {value:.4f} | {interval} | {count} |"


def _use(card: Mapping[str, Any]) -> Iterator[str]:
    program = card["program"]
    yield from (
        "## Use",
        "",
        "`pip install jax flatbuffers`, nothing of fjdl. Preprocessing is inside.",
        "",
        "```python",
    )
    yield from ("import numpy as np", "from jax import export", "")
    yield from (
        'with open("model.jax_export", "rb") as file:',
        "    model = export.deserialize(bytearray(file.read()))",
    )
    variables = {name: name if name.isidentifier() else f"array{k}" for k, name in enumerate(program["inputs"])}
    for name, told in program["inputs"].items():
        shape = [2 if n == BATCH else n for n in told["shape"]]
        yield f"{variables[name]} = np.zeros({shape}, np.{told['dtype']})"
    given = ", ".join(f"{name!r}: {variable}" for name, variable in variables.items())
    yield from (f"outputs = model.call(**{{{given}}})".replace("'", '"'), "```", "")
    yield from ("| | shape | dtype | values in training examples |", "|---|---|---|---|")
    for name, told in program["inputs"].items():
        seen = f"{told['lowest']:g} to {told['highest']:g}, in {told['seen']:,}" if "lowest" in told else ""
        yield f"| input `{name}` | {_axes(told)} | {told['dtype']} | {seen} |"
    for name, told in program["outputs"].items():
        yield f"| output `{name}` | {_axes(told)} | {told['dtype']} | |"
    yield ""
    version = card["versions"]["jax"]
    yield f"It runs on {', '.join(program['platforms'])}. JAX reads it for at least six months after version {version}."
    if program["carry"]:
        yield "Every example begins a sequence: no state goes on from one call to the next."
    if program["difference"] is not None:
        told = program["difference"]
        how = f"differ from those of the run by at most {told['largest']:.2g}" if told["largest"] else "are the run's"
        yield f"On {told['examples']} test examples ({told['platform']}) its outputs {how}."


def _weights(card: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Weights", "", WEIGHTS.strip())
    if card["quantization"] is not None:
        yield from ("", QUANTIZED.strip())
        if card["quantization"]["bits"] < 8:
            yield PACKED.strip()


def _data(card: Mapping[str, Any]) -> Iterator[str]:
    data = card["data"]
    counts = ", ".join(f"{count:,} {part}" for part, count in data["examples"].items())
    yield from ("## Data", "", f"{data['name']}: {counts} examples.")
    if data["classes"]:
        shown = ", ".join(f"{number}: {name}" for number, name in enumerate(data["classes"][:100]))
        more = "" if len(data["classes"]) <= 100 else f", and {len(data['classes']) - 100} more in card.json"
        yield f"Classes: {shown}{more}."


def _training(card: Mapping[str, Any]) -> Iterator[str]:
    training = card["training"]
    dirty = " with changes that were not committed" if training["uncommitted_changes"] else ""
    yield from ("## Training", "", "```", training["command"], "```", "")
    yield f"- epoch {training['best_epoch']} of {training['epochs']}, seed {training['seed']}, {training['precision']}"
    yield f"- {training['seconds']:.0f} s on {training['hardware']}"
    yield f"- commit {training['commit'] or 'unknown'}{dirty}"
    yield f"- sha256 of the config's code {training['config_sha256']}, of the state {training['state']}"
    yield "- " + ", ".join(f"{name} {version}" for name, version in card["versions"].items()) + " wrote these files"
    changed = ", which has changed since the run was made" if training["config_changed_since"] else ""
    text = training["config_text"].rstrip("\n")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    yield from ("", f"`{training['config']}`{changed}:", "", f"{fence}python", text, fence)


def _axes(told: Mapping[str, Any]) -> str:
    return "[" + ", ".join(map(str, told["shape"])) + "]"
