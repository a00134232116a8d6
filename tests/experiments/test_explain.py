import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import jax
import jax.numpy as jnp
import matplotlib.image
import numpy as np
import pytest

from experiments import explain
from experiments.evaluate import LoadedRun, load_run
from experiments.explanations import attributions, networks
from experiments.explanations.subject import before_last, last_image, subject_of
from fjdl import nn
from fjdl.data.source import from_arrays
from fjdl.errors import UsageError
from fjdl.models import LeNet5, cifar_resnet20, vgg11
from tests.experiments.support import USAGE, Command, sentence, snapshot

LINEAR = ("gradient", "integrated_gradients", "occlusion", "maximize", "pca", "adversarial", "histograms")
WITHOUT_LAYERS = ("guided", "grad_cam", "grad_cam_plus_plus", "features", "channels", "units")


def lenet(run: Path) -> Any:
    """The run with an untrained LeNet-5 in the place of its model."""
    loaded = load_run(run)
    model = nn.pure(LeNet5(padding=(2, 2)))
    params, stats = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
    recipe = loaded.recipe.__class__(**{**vars(loaded.recipe), "model": model})
    state: Any = SimpleNamespace(params=params, stats=stats, ema=())
    return LoadedRun(recipe, loaded.splits, loaded.program, state)


@pytest.mark.by_day_on_pin(1)
def test_every_figure_of_a_network_with_layers_is_drawn(trained_run: Path) -> None:
    run = lenet(trained_run)
    subject = subject_of(run, images=2, examples=9, layer=None, signature=None)
    assert (subject.layer, subject.signature) == ("conv2", "Dropout_1")
    assert subject.ends == (0, 1)
    for method in ("guided", "grad_cam", "grad_cam_plus_plus", "region", "features", "channels", "units", "robustness"):
        draw = {**vars(attributions), **vars(networks)}[method]
        title = draw(subject).get_suptitle()
        assert title.endswith((": digits", ": digits, test part", ": digits, test part, 9 examples"))
    shares = networks.units(subject).axes[0].get_yticklabels()
    assert [label.get_text() for label in shares] == ["conv1 (6)", "conv2 (16)", "dense1 (120)", "dense2 (84)"]
    with pytest.raises(UsageError, match=r"^layer must be one of conv1, pool1, conv2, .*, logits, got 'conv9'$"):
        subject_of(run, images=2, examples=9, layer="conv9", signature=None)
    with pytest.raises(
        UsageError, match=r"^layer must give an image of channels, got 'dense1' with the shape \[120\]$"
    ):
        subject_of(run, images=2, examples=9, layer="dense1", signature=None)


@pytest.mark.by_day_on_pin(1)
def test_the_command_draws_what_a_network_without_layers_allows_and_changes_nothing_else(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    before = snapshot(run)
    done = command("explain", run, "--images", 2, "--examples", 9, "--methods", *LINEAR)
    assert done.status == 0, done.err
    paths = [Path(line) for line in done.out.splitlines()]
    assert [path.name for path in paths] == [f"explain_{method}.png" for method in LINEAR]
    for path in paths:
        pixels = matplotlib.image.imread(path)
        assert min(pixels.shape[:2]) > 100
        assert pixels[..., :3].std() > 0.01
    assert {name: digest for name, digest in snapshot(run).items() if not name.startswith("plots/")} == before
    refused = command("explain", run, "--methods", "grad_cam")
    assert refused.status == USAGE
    assert sentence(refused) == (
        f"grad_cam cannot be drawn of {run}: the network has no layer that gives an image of channels"
    )


@pytest.mark.by_day_on_pin(1)
def test_what_the_network_does_not_allow_is_left_out_with_the_reason(
    trained_run: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    drawn = networks.pca(subject_of(load_run(run), images=2, examples=9, layer=None, signature=None))
    kept = [method for method in get_args(explain.Method) if method not in WITHOUT_LAYERS]
    for method in kept:
        home = attributions if hasattr(attributions, method) else networks
        monkeypatch.setattr(home, method, lambda subject: drawn)
    done = command("explain", run, "--images", 2, "--examples", 9)
    assert done.status == 0
    assert [line.split(" is left out: ")[0] for line in done.err.splitlines()] == list(WITHOUT_LAYERS)
    assert len(done.out.splitlines()) == len(kept)


@pytest.mark.parametrize("keys", [("features", "label"), ("label", "length", "tokens"), ("tokens",)])
def test_runs_of_tables_and_texts_are_refused(trained_run: Path, keys: tuple[str, ...]) -> None:
    run = load_run(trained_run)
    arrays = {
        "features": np.zeros((4, 3), np.float32),
        "tokens": np.zeros((4, 3), np.int32),
        "length": np.ones(4, np.int32),
        "label": np.zeros(4, np.int32),
    }
    splits = SimpleNamespace(name="data", classes=("a", "b"), test=from_arrays({key: arrays[key] for key in keys}))

    def seen(batch: Any) -> Any:
        return (batch["tokens"], batch["length"]) if "length" in keys else batch[keys[0]]

    recipe = run.recipe.__class__(**{**vars(run.recipe), "inputs": seen})
    expected = f"^run must be that of a classifier of images, got one whose examples have {', '.join(keys)}$"
    with pytest.raises(UsageError, match=expected):
        subject_of(LoadedRun(recipe, splits, None, run.state), images=2, examples=2, layer=None, signature=None)
    with pytest.raises(UsageError, match=r"^images must be at least 1 and examples at least 2, got 0 and 9$"):
        subject_of(run, images=0, examples=9, layer=None, signature=None)


@pytest.mark.parametrize(
    ("module", "size", "layer", "signature"),
    [(cifar_resnet20(), 32, "stage3", "pool"), (vgg11(classes=10), 32, "stage5", "dropout7")],
    ids=["ResNet", "VGG"],
)
def test_the_default_layers_of_the_zoo(module: Any, size: int, layer: str, signature: str) -> None:
    model, x = nn.pure(module), jnp.zeros((1, size, size, 3))
    params, stats = jax.eval_shape(model.init, jax.random.key(0), x)
    parts = {name: part.shape[1:] for name, part in nn.parts(model.apply, params, stats, x).items()}
    assert last_image(parts, params) == layer
    assert before_last(parts) == signature
