"""Random changes of training images: a `random_` function draws, its deterministic twin computes."""

from fjdl.augment.batch import each_image
from fjdl.augment.geometry import mirror, random_mirror, random_shift, shift

__all__ = ["each_image", "mirror", "random_mirror", "random_shift", "shift"]
