"""Everything public has its row under the laws, and its test; every test calls the library."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from types import ModuleType
from typing import Any, get_origin

from flax import linen

import fjdl
from tests.house.reach import Definition, every_test, reached

LAWFUL = (
    "losses",
    "functional",
    "metrics",
    "augment",
    "schedules",
    "boxes",
    "search",
    "quant",
    "decoding",
    "interpret",
)
TABLES = (
    Definition("tests.cases", "CASES"),
    Definition("tests.augment.test_random", "IMAGES"),
    Definition("tests.augment.test_random", "SAMPLES"),
    Definition("tests.augment.test_random", "MIXTURES"),
    Definition("tests.augment.test_random", "MOSAICS"),
)
OPTIMIZERS = (Definition("tests.optim.table", "ROWS"),)

# What has no row although it is public, and why; each of them has tests of its own.
NO_ROW: dict[str, str] = {
    "fjdl.augment.alternating_flips": "makes a function of batches, which the training loop feeds",
    "fjdl.augment.apply_with_probability": "makes a function of other functions",
    "fjdl.augment.choose_one": "makes a function of other functions",
    "fjdl.augment.each_example": "makes a function of batches of other functions",
    "fjdl.augment.each_image": "makes a function of batches of other functions",
    "fjdl.augment.example_key": "returns a key, which no law compares",
    "fjdl.augment.in_sequence": "makes a function of batches of other functions",
    "fjdl.augment.on_image": "makes a function of samples of another function",
    "fjdl.augment.sequence": "makes a function of other functions",
    "fjdl.boxes.anchor_shapes": "an array from numbers",
    "fjdl.boxes.octave_sizes": "numbers on the host",
    "fjdl.boxes.pyramid_anchors": "takes lists; the rows of `grid_anchors` one after the other",
    "fjdl.boxes.cell_regions": "an array from numbers",
    "fjdl.boxes.window_boxes": "an array from numbers",
    "fjdl.boxes.number_of_windows": "a number on the host",
    "fjdl.functional.pyramid_roi_align": "takes lists; the sum of `roi_align` of each level",
    "fjdl.boxes.ssd_scales": "numbers on the host",
    "fjdl.boxes.ssd_shapes": "an array from numbers",
    "fjdl.decoding.beam_search": "takes the step of a model",
    "fjdl.decoding.greedy": "takes the step of a model",
    "fjdl.decoding.sample": "takes the step of a model",
    "fjdl.functional.cudnn_lstm": "has neither vmap nor second derivatives, as JAX has it; elsewhere it is `lstm`",
    "fjdl.functional.initializers.fans": "integers from a shape",
    "fjdl.functional.initializers.gain": "a number from a name",
    "fjdl.interpret.completeness_gap": "takes a network",
    "fjdl.interpret.fgsm": "takes a network",
    "fjdl.interpret.grad_cam": "takes a network",
    "fjdl.interpret.grad_cam_plus_plus": "takes a network",
    "fjdl.interpret.gradient_times_input": "takes a network",
    "fjdl.interpret.guided": "takes a network",
    "fjdl.interpret.input_gradient": "takes a network",
    "fjdl.interpret.integrated_gradients": "takes a network",
    "fjdl.interpret.maximize": "takes a network",
    "fjdl.interpret.nonlinearities": "takes a network",
    "fjdl.interpret.occlusion": "takes a network",
    "fjdl.interpret.pgd": "takes a network",
    "fjdl.interpret.pgd_l2": "takes a network",
    "fjdl.interpret.rise": "takes a network",
    "fjdl.interpret.robust_accuracy": "takes a network",
    "fjdl.interpret.saliency_map": "takes a network",
    "fjdl.interpret.smooth_gradient": "takes a network",
    "fjdl.interpret.targeted_gradient": "takes a network",
    "fjdl.interpret.tsne": "arrays on the host",
    "fjdl.metrics.bleu": "strings on the host",
    "fjdl.metrics.bleu_interval": "strings on the host",
    "fjdl.metrics.character_error_rate": "strings on the host",
    "fjdl.metrics.classification_report": "returns a text",
    "fjdl.metrics.classification_report_from": "returns a text",
    "fjdl.metrics.coco_evaluation": "a whole data set on the host",
    "fjdl.metrics.corpus_bleu": "strings on the host",
    "fjdl.metrics.drop_repeated": "how many points it returns depends on the values",
    "fjdl.metrics.levenshtein_distance": "strings on the host",
    "fjdl.metrics.sentence_bleu": "strings on the host",
    "fjdl.metrics.tokenize_13a": "strings on the host",
    "fjdl.metrics.voc_curves": "a whole data set on the host",
    "fjdl.metrics.voc_evaluation": "a whole data set on the host",
    "fjdl.metrics.word_error_rate": "strings on the host",
    "fjdl.optim.lbfgs": "a line search asks for the function itself",
    "fjdl.optim.newton": "asks for the function itself",
    "fjdl.optim.scale_by_learning_rate": "the last factor of every row",
    "fjdl.search.choice": "numbers on the host",
    "fjdl.search.coarse_to_fine": "numbers on the host",
    "fjdl.search.draw_shares": "numbers on the host",
    "fjdl.search.grid": "numbers on the host",
    "fjdl.search.halving_rungs": "numbers on the host",
    "fjdl.search.integer": "numbers on the host",
    "fjdl.search.log_uniform": "numbers on the host",
    "fjdl.search.narrowed": "numbers on the host",
    "fjdl.search.point_at": "numbers on the host",
    "fjdl.search.successive_halving": "numbers on the host",
    "fjdl.search.suggested_objective": "numbers on the host",
    "fjdl.search.survivors": "numbers on the host",
    "fjdl.search.uniform": "numbers on the host",
    "fjdl.quant.bits_within": "numbers on the host",
    "fjdl.quant.is_quantized": "a truth value on the host",
    "fjdl.quant.packed_length": "a number on the host",
    "fjdl.quant.size_in_bytes": "a number on the host",
}

# Tests that are not of the library but of its repository, and what they look at instead.
NOT_OF_THE_LIBRARY: dict[str, str] = {
    "tests.house.test_completeness": "names, in the source of tests",
    "tests.house.test_api": "signatures, through the modules that it walks",
    "tests.house.test_errata": "a page",
    "tests.house.test_community": "pages and forms",
    "tests.house.test_distribution": "names of tests",
    "tests.house.test_floors": "imports, in the source",
    "tests.house.test_numbers": "pages",
    "tests.house.test_names": "names, through the rooms that it walks",
    "tests.house.test_readme": "a page",
    "tests.house.test_site": "pages, their examples, and what is made of the rooms that it walks",
    "tests.house.test_tpu_setup": "a page",
    "tests.house.test_times": "what a plugin of pytest prints",
    "tests.house.test_turns": "parameter sets of tests",
}


def packages() -> Iterator[ModuleType]:
    """What users import: packages that say what is public in them, with modules of formulas, and `fjdl.tree`."""
    for found in pkgutil.iter_modules(fjdl.__path__, "fjdl."):
        if found.ispkg or found.name == "fjdl.tree":
            module = importlib.import_module(found.name)
            yield module
            entries = [getattr(module, name) for name in getattr(module, "__all__", ()) if lawful(found.name)]
            yield from (entry for entry in entries if isinstance(entry, ModuleType))
    yield importlib.import_module("fjdl.data.text")
    yield importlib.import_module("fjdl.data.vision")
    yield importlib.import_module("fjdl.data.own")


def lawful(name: str) -> bool:
    return name.split(".")[1] in LAWFUL


def public(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """What the module offers to call, by its dotted name: functions, what behaves like one, and networks; no types."""
    mine = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    names = getattr(module, "__all__", [name for name in mine if not name.startswith("_")])
    values = {f"{module.__name__}.{name}": getattr(module, name) for name in names}
    return {name: value for name, value in values.items() if callable(value) and not _is_type(value)}


def _is_type(value: Any) -> bool:
    """Whether it is a type or an alias of one; a class of networks makes models as a function would."""
    return get_origin(value) is not None or (isinstance(value, type) and not issubclass(value, linen.Module))


EVERYTHING = {name: value for module in packages() for name, value in public(module).items()}


def is_optimizer(name: str, value: Callable[..., Any]) -> bool:
    return name.startswith("fjdl.optim.") and next(iter(inspect.signature(value).parameters), "") == "learning_rate"


def none_of(names: Iterable[str]) -> None:
    """Fails with all the names where there are any."""
    listed = sorted(names)
    assert not listed, "\n".join(listed)


@cache
def rows() -> dict[int, Any]:
    return reached((*TABLES, *OPTIMIZERS))


def test_everything_public_has_a_row_under_the_laws() -> None:
    """A row is an entry of the tables above; a new function gets one, or a reason in `NO_ROW`."""
    wanted = {name: v for name, v in EVERYTHING.items() if lawful(name) or is_optimizer(name, v)}
    excused = {id(EVERYTHING[name]) for name in NO_ROW if name in EVERYTHING}
    none_of(name for name, v in wanted.items() if id(v) not in rows() and id(v) not in excused)


def test_everything_public_is_called_by_a_test() -> None:
    tested = reached((*every_test(), *TABLES, *OPTIMIZERS))
    none_of(name for name, value in EVERYTHING.items() if id(value) not in tested)


def test_every_exception_is_still_needed() -> None:
    none_of(name for name in NO_ROW if name not in EVERYTHING or id(EVERYTHING[name]) in rows())


def test_the_walk_finds_what_users_call_and_no_types() -> None:
    names = EVERYTHING.keys()
    assert {"fjdl.losses.mse_loss", "fjdl.models.ResNet", "fjdl.models.resnet18", "fjdl.tree.count"} <= names
    assert {"fjdl.functional.filters.laplacian", "fjdl.losses.penalties.l2"} <= names
    assert not {"fjdl.metrics.Metric", "fjdl.schedules.Step", "fjdl.functional.filters"} & names
    assert len(rows()) > 400


def test_every_test_calls_the_library() -> None:
    """So that it can fail: what NumPy and JAX compute alone is no fact of the library."""
    every = [test for test in every_test() if test.module not in NOT_OF_THE_LIBRARY]
    none_of(f"{test.module}::{test.name}" for test in every if not reached([test]))


def test_the_tests_of_the_repository_are_still_there() -> None:
    none_of(NOT_OF_THE_LIBRARY.keys() - {test.module for test in every_test()})
