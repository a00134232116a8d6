"""A training step of Flax and optax beside fjdl's own of the same network, both compiled for one slice."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen

from experiments.command import Experiment
from experiments.compiled import flax_models
from experiments.compiled.job import Job, say
from experiments.compiled.programs import Compiled, TooLarge, compile_call, read
from experiments.compiled.report import report, table, too_large
from fjdl.errors import UsageError
from fjdl.train.mesh import along, replicated
from fjdl.train.prepare import Call, Prepared

Arguments = Mapping[str, Any]


class Twin(NamedTuple):
    """A network of Flax, and how it is trained."""

    network: linen.Module
    optimizer: optax.GradientTransformation
    classes: int
    smoothing: float = 0.0
    decay: float = 0.0  # of half the sum of the squares of kernels, which is added to the loss


class State(NamedTuple):
    """What a step changes."""

    step: Any
    params: Any
    stats: Any
    opt: Any


def compare(job: Job, experiment: Experiment) -> list[Compiled]:
    """Compiles both steps, without augmentation, and prints them side by side."""
    name = Path(experiment.config["config"]).stem
    job = dataclasses.replace(job, recipe=dataclasses.replace(job.recipe, augment=None))
    twin = twin_of(name, experiment.config["arguments"], job.recipe.dtype)
    ours, theirs = (_fitting(facts, job) for facts in (job.compile("step"), _compile(job, twin)))
    if job.top:
        print("\nfjdl, " + report(ours, job.where.chip, top=job.top))
        print("\nFlax, " + report(theirs, job.where.chip, top=job.top))
    print(
        f"\na {ours.precision} step of {ours.batch} examples, {ours.batch / ours.devices:g} a device, no augmentation"
    )
    print("\n".join(table(("", "fjdl", "Flax", "fjdl / Flax"), list(comparison(ours, theirs)))), flush=True)
    return [ours, theirs]


def _fitting(facts: Compiled | TooLarge, job: Job) -> Compiled:
    if isinstance(facts, TooLarge):
        raise UsageError(too_large(facts, job.where.chip))
    return facts


def twin_of(name: str, arguments: Arguments, dtype: Any) -> Twin:
    """The twin of a config; raises `UsageError` for one that has none."""
    if name not in TWINS:
        raise UsageError(f"{name} has no twin in Flax, those that have are {', '.join(sorted(TWINS))}")
    return TWINS[name](arguments, dtype)


def comparison(ours: Compiled, theirs: Compiled) -> Iterator[tuple[str, str, str, str]]:
    """Rows of both and their ratio."""
    numbers: list[tuple[str, Callable[[Compiled], float], str]] = [
        ("GFLOP", lambda facts: facts.flops / 1e9, ",.4g"),
        ("accessed, MB", lambda facts: facts.traffic / 1e6, ",.1f"),
        ("temporaries, MB", lambda facts: facts.memory.temporaries / 1e6, ",.1f"),
        ("peak, MB", lambda facts: facts.memory.peak / 1e6, ",.1f"),
        ("arguments, MB", lambda facts: facts.memory.arguments / 1e6, ",.1f"),
        ("collectives", lambda facts: facts.exchanges, ",.0f"),
        ("estimated cycles, k", lambda facts: facts.cycles / 1e3, ",.1f"),
    ]
    for label, number, form in numbers:
        yield _row(label, number(ours), number(theirs), form)
    for kind in sorted({*ours.kinds, *theirs.kinds}):
        for direction in ("forward", "backward"):
            pair = [getattr(facts.kinds[kind], direction) if kind in facts.kinds else 0 for facts in (ours, theirs)]
            if any(pair):
                yield _row(f"  {kind}, {direction}, k", pair[0] / 1e3, pair[1] / 1e3, ",.1f")
    for label in _without_price(ours, theirs):
        made = [_bytes_of(label, facts) / 1e6 for facts in (ours, theirs)]
        yield _row(f"  {label}, MB, no price", made[0], made[1], ",.1f")
    ours_priced, theirs_priced = (sum(price.operations for price in x.kinds.values()) for x in (ours, theirs))
    yield _row("priced operations", ours_priced, theirs_priced, ",.0f")
    yield _row("seconds of compiling", ours.seconds, theirs.seconds, ",.0f")


def _without_price(*sides: Compiled, above: int = 100_000) -> list[str]:
    """What has no price and makes so many bytes on one side; collectives have a row, prefetches run beside the rest."""
    rows = [row for facts in sides for row in facts.unpriced if row.bytes >= above]
    return sorted({f"{row.opcode} ({row.kind})" for row in rows if row.kind not in ("collectives", "copies")})


def _bytes_of(label: str, facts: Compiled) -> int:
    return sum(row.bytes for row in facts.unpriced if f"{row.opcode} ({row.kind})" == label)


def _row(label: str, ours: float, theirs: float, form: str) -> tuple[str, str, str, str]:
    ratio = f"{ours / theirs:.3f}" if theirs else ""
    return label, format(ours, form), format(theirs, form), ratio


def _compile(job: Job, twin: Twin) -> Compiled | TooLarge:
    prepared = job.prepared()
    batch = prepared.recipe.batch_size
    say(f"compiling Flax's step with batch {batch} for {job.where.name} …")
    start = time.monotonic()
    made = compile_call(call_of(twin, prepared), batch)
    if isinstance(made, TooLarge):
        return made
    job.keep(f"flax-{batch}", made.as_text())
    return read(
        made,
        part="step",
        steps=1,
        batch=batch,
        precision=prepared.recipe.precision,
        seconds=time.monotonic() - start,
        devices=len(job.where.devices),
    )


def call_of(twin: Twin, prepared: Prepared) -> Call:
    """The twin's jitted step and its abstract arguments: everything replicated, the batch over the devices."""
    recipe, mesh = prepared.recipe, prepared.mesh
    example = prepared.splits.train.element(0)
    batch = {
        name: jax.ShapeDtypeStruct((recipe.batch_size, *array.shape), array.dtype, sharding=along(mesh))
        for name, array in example.items()
    }
    state = jax.eval_shape(partial(start, twin, recipe.inputs, recipe.dtype), batch)
    state = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=replicated(mesh)), state)
    function = partial(step, twin, recipe.inputs, recipe.dtype)
    return Call(jax.jit(function, donate_argnums=0, out_shardings=replicated(mesh)), (state, batch))


def start(twin: Twin, inputs: Callable[[Any], Any], dtype: Any, batch: Any) -> State:
    """The state before the first step."""
    variables = twin.network.init(jax.random.key(0), inputs(batch).astype(dtype), train=False)
    params, stats = variables["params"], variables.get("batch_stats", {})
    return State(jnp.zeros((), jnp.int32), params, stats, twin.optimizer.init(params))


def step(twin: Twin, inputs: Callable[[Any], Any], dtype: Any, state: State, batch: Any) -> tuple[State, Any]:
    """One step as the examples of Flax write it."""
    key = jax.random.fold_in(jax.random.key(1), state.step)
    with jax.named_scope("inputs"):
        images = inputs(batch).astype(dtype)

    def objective(params: Any) -> tuple[Any, Any]:
        logits, changed = twin.network.apply(
            {"params": params, "batch_stats": state.stats},
            images,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": key},
        )
        with jax.named_scope("loss"):
            labels = optax.smooth_labels(jax.nn.one_hot(batch["label"], twin.classes), twin.smoothing)
            loss = optax.softmax_cross_entropy(logits.astype(jnp.float32), labels).mean()
            if twin.decay:
                kernels = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1]
                loss += twin.decay * 0.5 * sum(jnp.sum(jnp.square(kernel)) for kernel in kernels)
        return loss, changed.get("batch_stats", {})

    (loss, stats), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
    with jax.named_scope("optimizer"):
        updates, opt = twin.optimizer.update(gradients, state.opt, state.params)
        params = optax.apply_updates(state.params, updates)
    return State(state.step + 1, params, stats, opt), loss


def _momentum() -> optax.GradientTransformation:
    return optax.sgd(optax.cosine_decay_schedule(0.1, 10_000), momentum=0.9, nesterov=True)


def _adam() -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(1e-3, 10_000))


def _resnet50(arguments: Arguments, dtype: Any) -> Twin:
    classes = arguments["classes"]
    network = flax_models.ResNet((3, 4, 6, 3), flax_models.BottleneckBlock, classes, dtype=dtype)
    return Twin(network, _momentum(), classes, smoothing=arguments["smoothing"], decay=arguments["weight_decay"])


def _resnet20(arguments: Arguments, dtype: Any) -> Twin:
    network = flax_models.ResNet(
        (3, 3, 3), flax_models.BasicBlock, 10, width=16, stem="small", project=False, dtype=dtype
    )
    return Twin(network, _momentum(), 10, decay=arguments["weight_decay"])


def _small_resnet(arguments: Arguments, dtype: Any) -> Twin:
    """The config trains its blocks by Muon; the twin trains everything by momentum."""
    network = flax_models.ResNet(
        (1, 1, 1), flax_models.BasicBlock, 10, width=arguments["width"], stem="pooled", dtype=dtype
    )
    return Twin(network, _momentum(), 10, smoothing=arguments["smoothing"], decay=arguments["weight_decay"])


def _lenet(arguments: Arguments, dtype: Any, *, padding: tuple[int, int] = (2, 0)) -> Twin:
    return Twin(flax_models.LeNet(10, padding, dropout=arguments["dropout"], dtype=dtype), _adam(), 10)


def _mlp(arguments: Arguments, dtype: Any, *, classes: int = 10) -> Twin:
    network = flax_models.MLP(tuple(arguments["hidden"]), classes, arguments.get("dropout", 0.0), dtype)
    return Twin(network, _adam(), classes)


def _logistic(arguments: Arguments, dtype: Any, *, classes: int) -> Twin:
    decay = arguments.get("weight_decay")
    optimizer = optax.adamw(optax.cosine_decay_schedule(1e-3, 10_000), weight_decay=decay) if decay else _adam()
    return Twin(flax_models.Logistic(classes, dtype), optimizer, classes)


TWINS: dict[str, Callable[[Arguments, Any], Twin]] = {
    "imagenet_resnet50": _resnet50,
    "cifar10_resnet20": _resnet20,
    "fashion_mnist_resnet": _small_resnet,
    "mnist_lenet": _lenet,
    "fashion_mnist_lenet": _lenet,
    "digits_lenet": partial(_lenet, padding=(2, 2)),
    "fashion_mnist_mlp": _mlp,
    "digits_mlp": _mlp,
    "iris_mlp": partial(_mlp, classes=3),
    "digits_logistic": partial(_logistic, classes=10),
    "iris_logistic": partial(_logistic, classes=3),
    "wine_logistic": partial(_logistic, classes=3),
    "breast_cancer_logistic": partial(_logistic, classes=2),
}
