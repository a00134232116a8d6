"""Everything public, called wrongly, answers in one sentence with its name; everything random takes both kinds of keys.

The names are those of `__all__` of every package, so that a new function is under these laws at once.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from jaxtyping import AbstractArray

import fjdl
from fjdl import functional as F, models
from fjdl.calls import CallError, union
from fjdl.typing import PRNGKey
from tests.cases import CASES, Case
from tests.support import assert_trees_close

PACKAGES = [name for _, name, is_package in pkgutil.iter_modules(fjdl.__path__) if is_package]
LISTED = [package for package in PACKAGES if hasattr(importlib.import_module(f"fjdl.{package}"), "__all__")]


def members(package: str) -> dict[str, Any]:
    module = importlib.import_module(f"fjdl.{package}")
    return {f"{package}.{name}": getattr(module, name) for name in module.__all__}


PUBLIC = {name: value for package in LISTED for name, value in members(package).items()}
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)}
TYPED = {name: value for name, value in FUNCTIONS.items() if value.__code__.co_qualname == "typed.<locals>.call"}


def kinds(function: Callable[..., Any]) -> set[Any]:
    return {parameter.kind for parameter in inspect.signature(function).parameters.values()}


@pytest.mark.parametrize("package", LISTED)
def test_a_wrong_call_keeps_the_functions_name(package: str) -> None:
    for name, function in FUNCTIONS.items():
        if name.startswith(f"{package}."):
            refuses_a_wrong_call(name, function)


def refuses_a_wrong_call(name: str, function: Callable[..., Any]) -> None:
    wrong = [((), {"no_such_argument": 1}, inspect.Parameter.VAR_KEYWORD)]
    wrong += [((None,) * 40, {}, inspect.Parameter.VAR_POSITIONAL)]
    for args, options, taker in wrong:
        if taker in kinds(function):
            continue
        with pytest.raises((TypeError, ValueError), match=rf"\b{function.__name__}\b") as caught:
            function(*args, **options)
        assert "\n" not in str(caught.value)
        if name in TYPED:
            assert isinstance(caught.value, CallError)


@pytest.mark.parametrize("package", LISTED)
def test_a_list_in_the_place_of_an_array_is_refused_with_names_and_remedy(package: str) -> None:
    for name, function in TYPED.items():
        if name.startswith(f"{package}."):
            refuses_a_list(function)


def refuses_a_list(function: Any) -> None:
    parameters = inspect.signature(function).parameters.values()
    required = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    if not required or not only_arrays(required[0].annotation):
        return
    named = {p.name: None for p in parameters if p.default is p.empty and p.kind is p.KEYWORD_ONLY}
    with pytest.raises(ValueError, match=rf"^{function.__qualname__}: argument `{required[0].name}` must be") as caught:
        function([[1.0, 2.0]] * 30, *[None] * (len(required) - 1), **named)
    assert "which `jnp.asarray` makes an array" in str(caught.value)
    assert len(str(caught.value)) < 500


def only_arrays(hint: Any) -> bool:
    return all(isinstance(part, type) and issubclass(part, AbstractArray) for part in union(hint))


def test_every_function_that_takes_a_key_takes_raw_ones_too() -> None:
    keyed = {name: inspect.signature(f).parameters["key"] for name, f in FUNCTIONS.items() if "key" in parameters_of(f)}
    assert len(keyed) >= 40
    assert not [name for name in keyed if name not in TYPED and name not in KEY_PASSED_ON]
    assert not [name for name, parameter in keyed.items() if parameter.annotation is not PRNGKey]


KEY_PASSED_ON = ("augment.example_key", "autodiff.check_grads_along")  # to `jax.random`, which takes both kinds


def parameters_of(function: Callable[..., Any]) -> Any:
    return inspect.signature(function).parameters


def is_key(x: Any) -> bool:
    return isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


RANDOM = [case for case in CASES if any(map(is_key, case.inputs(np.random.default_rng(0))))]


@pytest.mark.parametrize("case", RANDOM, ids=lambda case: case.name)
def test_a_raw_key_is_traced_to_the_same_result(case: Case) -> None:
    args = case.inputs(np.random.default_rng(0))
    assert jax.eval_shape(case.function, *map(raw, args)) == jax.eval_shape(case.function, *args)


def raw(x: Any) -> Any:
    return jax.random.key_data(x) if is_key(x) else x


def test_a_raw_key_draws_the_numbers_of_the_typed_one() -> None:
    x = np.ones((4, 3), np.float32)
    for function in (F.dropout, F.gaussian_dropout):
        assert_trees_close(
            function(jax.random.PRNGKey(3), x, rate=0.5), function(jax.random.key(3), x, rate=0.5), rtol=0, atol=0
        )


@pytest.mark.parametrize("package", LISTED)
def test_completion_offers_what_is_public_and_no_module_files(package: str) -> None:
    module = importlib.import_module(f"fjdl.{package}")
    assert sorted(dir(module)) == sorted(set(module.__all__))


def test_help_on_a_variant_shows_its_arguments_and_what_it_is() -> None:
    assert models.resnet50.__name__ == "resnet50"
    assert list(parameters_of(models.resnet50))[:2] == ["stages", "block"]
    assert parameters_of(models.resnet50)["stages"].default == (3, 4, 6, 3)
    assert models.resnet50.__doc__.startswith("`ResNet` with stages=(3, 4, 6, 3), block=BottleneckBlock.")
    assert models.resnet50_v1.__doc__.startswith(
        "`ResNet` with stages=(3, 4, 6, 3), block=partial(BottleneckBlock, stride_first=True)."
    )
    assert models.wide_resnet16_4.__doc__.startswith("`wide_resnet` with depth=16, widening=4.")
    for name, value in members("models").items():
        assert inspect.isfunction(value) or not callable(value) or inspect.isclass(value) or name == PART, name


VARIANTS = {name: value for name, value in members("models").items() if hasattr(value, "build")}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_a_function_of_its_name_with_the_networks_source_and_paper(name: str) -> None:
    variant, network = VARIANTS[name], VARIANTS[name].build.func
    assert inspect.isfunction(variant)
    assert f"models.{variant.__name__}" == name
    assert f"models.{variant.__qualname__}" == name
    assert inspect.signature(variant).return_annotation is (
        network if inspect.isclass(network) else models.PreActivationResNet
    )
    assert inspect.getdoc(network) in variant.__doc__
    assert re.search(r"\nSource: .*\b(19|20)\d\d\b", variant.__doc__), variant.__doc__
    assert inspect.getsource(variant) == inspect.getsource(network)


PART = "models.ZeroScaleBatchNorm"  # a part for other networks, no network
