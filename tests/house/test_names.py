"""Names: the list of what is public, second names, names that have changed, and words of one meaning."""

import importlib
import re
import warnings
from types import ModuleType
from typing import Any

import pytest

import fjdl
from fjdl.names import ALIASES, ELSEWHERE, GONE_IN, RENAMED, other_names
from tests.house.public_names import SNAPSHOT, entries, public_names, rooms
from tests.support import ROOT

SECOND = [(room, alias, name) for room, names in ALIASES.items() for alias, name in names.items()]
CHANGED = [(room, old, new) for room, names in RENAMED.items() for old, new in names.items()]
FOREIGN = [(room, other, name) for room, names in ELSEWHERE.items() for other, name in names.items()]

# A word that two rooms use for two things, and what both have in common. Anything else is a word of two meanings.
SHARED: dict[str, str] = {
    "Layout": "where parameters lie: on the devices of a mesh, or in the files of another library",
    "add_noise": "adds noise: to an image, or to the updates of an optimizer",
    "conv2d": "a convolution: of floats, or of quantized arrays",
    "constant": "the same number everywhere: in a parameter, or at every step",
    "embedding": "rows of a table: of floats, or of a quantized one",
    "identity": "changes nothing: an activation, or the kernel of a layer that does",
    "iou": "intersection over union: of boxes, or of the pixels of a class",
    "linear": "of the first degree: a layer, of floats or of quantized arrays, or a schedule",
    "mean": "the weighted mean: of values at hand, or of those of many batches",
    "uniform": "the uniform distribution: of a parameter, or of an option that is searched",
    "zeros": "all numbers 0: a parameter, or a whole linear model",
}
# Definitions, in any module, of words that once had several meanings.
ONE_MEANING: dict[str, set[str]] = {
    "stream": set(),  # `Stream` numbers random keys; what comes piece by piece is streamed or streaming
    "moments": set(),
    "between": set(),
    "standardize": {"fjdl.data.embedded", "fjdl.functional.preprocessing"},  # (x - mean) / std: fitted, or given
    "total": {"fjdl.analysis.counts", "fjdl.autodiff.dual", "fjdl.autodiff.rules"},  # the sum of everything
}


def dotted(room: str, name: str) -> str:
    return name if "." in name else f"{room}.{name}"


def thing(name: str) -> Any:
    home, _, last = name.rpartition(".")
    return getattr(importlib.import_module(home), last)


def test_the_public_names_are_those_of_the_list() -> None:
    listed, found = set(SNAPSHOT.read_text().split()), set(public_names())
    new = "\n".join(sorted(found - listed))
    assert not new, f"new public names; `python -m tests.house.public_names` takes them into the list:\n{new}"
    gone = "\n".join(sorted(listed - found))
    assert not gone, f"public names that are gone; enter them in fjdl.names.RENAMED, then write the list anew:\n{gone}"


def test_the_walk_finds_rooms_of_every_kind_and_no_files() -> None:
    names = set(public_names())
    assert {"fjdl.losses.mse_loss", "fjdl.losses.penalties.l2", "fjdl.functional.initializers.xavier_normal"} <= names
    assert {"fjdl.tree.count", "fjdl.errors.UsageError", "fjdl.typing.Array", "fjdl.data.mnist.mnist"} <= names
    assert {"fjdl.functional.conv.conv2d", "fjdl.models.resnet18", "fjdl.autodiff.dual.Dual"} <= names
    assert not [name for name in names if name.startswith("fjdl.metrics.state.")]


@pytest.mark.parametrize(("room", "alias", "name"), SECOND, ids=[f"{room}.{alias}" for room, alias, _ in SECOND])
def test_a_second_name_is_the_same_object_and_listed_beside_the_first(room: str, alias: str, name: str) -> None:
    module = importlib.import_module(room)
    assert getattr(module, alias) is getattr(module, name)
    assert {alias, name} <= set(dir(module))


def test_every_second_name_of_a_room_is_in_the_table() -> None:
    for room in rooms():
        firsts: dict[int, str] = {}
        for name, value in sorted(entries(room).items(), key=lambda item: item[0] in ALIASES.get(room.__name__, {})):
            known = ALIASES.get(room.__name__, {})
            assert id(value) not in firsts or known.get(name) == firsts[id(value)], f"{room.__name__}.{name}"
            if callable(value):
                firsts.setdefault(id(value), name)


@pytest.mark.parametrize(("room", "old", "new"), CHANGED, ids=[f"{room}.{old}" for room, old, _ in CHANGED])
def test_an_old_name_warns_at_its_user_and_is_the_same_object(room: str, old: str, new: str) -> None:
    module, target = importlib.import_module(room), dotted(room, new)
    sentence = re.escape(f"{room}.{old} is now {target}; the old name goes in fjdl {GONE_IN}")
    with pytest.warns(DeprecationWarning, match=f"^{sentence}$") as caught:
        assert getattr(module, old) is thing(target)
    assert {warning.filename for warning in caught} == {__file__}
    assert old not in dir(module)
    assert f"{room}.{old}" not in public_names_once()


def test_an_import_of_an_old_name_warns_once_in_the_file_of_the_user() -> None:
    program = compile(
        "from fjdl.losses import mse\nfor _ in range(3):\n    import fjdl.losses as l; l.huber", "mine.py", "exec"
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        warnings.simplefilter("default")
        exec(program, {"__name__": "mine"})
    assert [(warning.filename, warning.lineno) for warning in caught] == [("mine.py", 1), ("mine.py", 3)]


def test_old_names_go_in_the_version_that_was_promised() -> None:
    version = re.match(r"(\d+)\.(\d+)", fjdl.__version__)
    assert version is not None
    assert tuple(map(int, version.groups())) < tuple(map(int, GONE_IN.split("."))), "remove what RENAMED holds"


@pytest.mark.parametrize(("room", "other", "name"), FOREIGN, ids=[f"{room}.{other}" for room, other, _ in FOREIGN])
def test_a_name_of_another_library_is_answered_with_the_one_here(room: str, other: str, name: str) -> None:
    module, target = importlib.import_module(room), dotted(room, name)
    with pytest.raises(AttributeError, match=rf"no attribute '{other}'; its name here is {re.escape(target)}, with"):
        getattr(module, other)
    assert callable(thing(target))


@pytest.mark.parametrize("room", sorted(ALIASES.keys() | RENAMED.keys() | ELSEWHERE.keys()))
def test_a_name_that_nobody_has_is_no_attribute(room: str) -> None:
    module = importlib.import_module(room)
    assert not hasattr(module, "no_such_thing")
    with pytest.raises(AttributeError, match=f"^module '{room}' has no attribute 'no_such_thing'$"):
        other_names(room)("no_such_thing")


def test_a_name_stands_in_one_table_only() -> None:
    for room in ALIASES.keys() | RENAMED.keys() | ELSEWHERE.keys():
        tables = [set(table.get(room, {})) for table in (ALIASES, RENAMED, ELSEWHERE)]
        assert len(set.union(*tables)) == sum(map(len, tables)), room
        if room != "fjdl.data.stream":
            assert not (tables[1] | tables[2]) & set(dir(importlib.import_module(room))), room


def test_the_page_lists_every_other_name() -> None:
    page = (ROOT / "docs/names.md").read_text()
    rows = [f"| `{room}.{other}` | `{dotted(room, name)}` |" for room, other, name in (*SECOND, *CHANGED, *FOREIGN)]
    assert not [row for row in rows if row not in page]
    assert page.count("\n| `") == len(rows)


NO_LOSS = {
    "adaptive_log_probabilities",
    "Triplets",
    "class_weights",
    "example_weights",
    "hard_triplets",
    "has_positive",
    "mean",
    "semi_hard_triplets",
}
NO_LOSS |= {"penalties", "weighted_sum"}


def test_every_loss_ends_in_loss_unless_it_is_an_entropy_or_a_divergence() -> None:
    """So says the room, and so PyTorch and optax have it: `mse_loss`, `huber_loss`, but `cross_entropy`."""
    room = importlib.import_module("fjdl.losses")
    names = set(room.__all__) - NO_LOSS - ALIASES["fjdl.losses"].keys()
    assert names >= {"mse_loss", "iou_loss", "softmax_cross_entropy", "kl_divergence"}
    assert not [name for name in names if not re.search(r"(_loss|(^|_)entropy|_divergence(_with_logits)?)$", name)]
    assert set(room.__all__) >= NO_LOSS


def test_a_word_that_two_rooms_use_means_the_same() -> None:
    seen: dict[str, dict[int, str]] = {}
    for room in rooms():
        for name, value in entries(room).items():
            if not isinstance(value, ModuleType):
                seen.setdefault(name, {})[id(value)] = room.__name__
    twice = {name: list(places.values()) for name, places in seen.items() if len(places) > 1}
    assert twice.keys() == SHARED.keys(), twice


@pytest.mark.parametrize("word", ONE_MEANING)
def test_a_word_that_had_many_meanings_has_one(word: str) -> None:
    pattern = re.compile(rf"^(?:def|class) {word}\b|^{word} = ", re.MULTILINE | re.IGNORECASE)
    homes = {path.relative_to(ROOT) for path in (ROOT / "fjdl").rglob("*.py") if pattern.search(path.read_text())}
    found = {".".join(home.with_suffix("").parts) for home in homes}
    kept = {"fjdl.train.state"} if word == "stream" else {"fjdl.functional.batch_norm"} if word == "moments" else set()
    assert found == ONE_MEANING[word] | kept  # `Stream`, the number of a random key, and `Moments`, mean and variance


INNER = [
    importlib.import_module(f"fjdl.{name}") for name in ("functional.pool", "metrics.classification", "metrics.text")
]


@pytest.mark.parametrize("room", [*rooms(), *INNER], ids=lambda room: room.__name__)
def test_completion_offers_the_public_names_of_every_room_only(room: ModuleType) -> None:
    assert sorted(dir(room)) == sorted(getattr(room, "__all__", dir(room)))
    assert not [name for name in dir(room) if name.startswith("_")]


def public_names_once() -> set[str]:
    return set(SNAPSHOT.read_text().split())
