"""Ask a run why: `python -m experiments.explain runs/digits` draws what its network looks at, one figure a method."""

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal, get_args

import tyro

from experiments.command import run_guarded
from experiments.evaluate import load_run

Method = Literal[
    "gradient", "gradient_times_input", "guided", "smooth_gradient", "integrated_gradients", "grad_cam",
    "grad_cam_plus_plus", "occlusion", "rise", "region", "features", "channels", "maximize", "pca", "tsne",
    "adversarial", "robustness", "units", "histograms",
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Options:
    """Draw where a classifier of images looks, what it looks for and how it is fooled, into the run's folder plots/."""

    run: tyro.conf.Positional[Path]
    """The run directory."""
    images: int = 6
    """How many images of the test part are shown, spread evenly over it."""
    examples: int = 300
    """How many of them signatures, robustness, units and histograms are computed from."""
    methods: tuple[Method, ...] = ()
    """The figures to draw; all that the network allows unless given."""
    layer: str | None = None
    """The layer of class activation maps, features and channels: the last one that gives an image, unless given."""
    signature: str | None = None
    """The layer whose outputs pca and tsne show: the one before the logits, unless given."""


def main() -> None:
    """Draws and says where; a figure that the network does not allow is left out, with the reason."""
    options = tyro.cli(Options, args=sys.argv[1:])
    run = load_run(options.run)
    from experiments.explanations import attributions, networks
    from experiments.explanations.subject import Inapplicable, subject_of
    from fjdl.errors import UsageError
    from fjdl.plots import save

    subject = subject_of(
        run, images=options.images, examples=options.examples, layer=options.layer, signature=options.signature
    )
    draw: dict[str, Any] = {**vars(attributions), **vars(networks)}
    for method in options.methods or get_args(Method):
        try:
            figure = draw[method](subject)
        except Inapplicable as reason:
            if options.methods:
                raise UsageError(f"{method} cannot be drawn of {options.run}: {reason}") from reason
            print(f"{method} is left out: {reason}", file=sys.stderr)
            continue
        path = options.run / "plots" / f"explain_{method}.png"
        save(figure, path)
        print(path, flush=True)


if __name__ == "__main__":
    run_guarded(main)
