"""Where a new run takes its first parameters from."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fjdl.transfer import Layout

Place = str | Path | Callable[[], str | Path]


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Trained weights, and which parameters are drawn all the same.

    `path` is a run directory, whose best epoch is taken with its average of the parameters where it has one; a step of
    its `checkpoints/`; a folder that orbax wrote; a safetensors file, such as `experiments.export` writes; or a file
    of PyTorch, which is read without PyTorch. A function of no arguments gives the path when it is needed, for weights
    that are downloaded. `layout` has the names and axes of another library, such as `models.RESNET_TORCHVISION`; files
    of PyTorch need one.

    `fresh` are regexes of whole paths of parameters that are drawn as ever, such as `logits/.*` for a new head. Rules
    hold for statistics too, by the path of their part, as in `norm/mean`.

    The weights are read when a run begins, and a run that is taken up does not look at them.
    `pretrained.json` of the run has their sha256.

    >>> Pretrained(path="runs/flowers", fresh=("logits/.*",)).draws("logits/kernel")
    True
    """

    path: Place
    layout: "Layout | None" = None
    fresh: Sequence[str] = ()

    @property
    def rules(self) -> tuple[str, ...]:
        """The regexes of what is drawn."""
        return as_rules(self.fresh)

    @property
    def place(self) -> Path:
        """The file or folder."""
        return Path(self.path() if callable(self.path) else self.path)

    def draws(self, path: str) -> bool:
        """Whether the parameter or statistic of this path is drawn."""
        return any(re.fullmatch(rule, path) for rule in self.rules)


def as_rules(rules: str | Sequence[str]) -> tuple[str, ...]:
    """Regexes of paths; a string is one of them."""
    return (rules,) if isinstance(rules, str) else tuple(rules)
