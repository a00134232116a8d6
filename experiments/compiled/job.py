"""One check: a recipe and a slice, and the programs that are compiled for them."""

import dataclasses
import functools
import sys
from pathlib import Path

from experiments.compiled.batches import largest_batch, sizes_around, sweep
from experiments.compiled.programs import Compiled, TooLarge, compile_part
from experiments.compiled.report import report, too_large
from experiments.compiled.topology import Slice
from experiments.mistakes import users_mistakes
from fjdl.errors import StorageError, UsageError
from fjdl.files import write_atomically
from fjdl.train.prepare import Prepared, prepare
from fjdl.train.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Job:
    """What is compiled for what, and what of it is kept and shown."""

    recipe: Recipe
    where: Slice
    hlo: Path | None = None
    top: int = 0

    @property
    def unit(self) -> int:
        """Batches are multiples of it."""
        return len(self.where.devices) * self.recipe.accumulate

    def prepared(self, batch: int | None = None) -> Prepared:
        """The recipe, perhaps with another batch, on the slice."""
        size = batch or self.recipe.batch_size
        with users_mistakes():
            return prepare(dataclasses.replace(self.recipe, batch_size=size), devices=self.where.devices)

    def compile(self, part: str, batch: int | None = None) -> Compiled | TooLarge:
        """The facts of one program; says on the error stream what is being compiled."""
        made = self.prepared(batch)
        say(f"compiling {part} with batch {made.recipe.batch_size} for {self.where.name} …")
        facts, text = compile_part(made, part, self.where)
        self.keep(f"{part}-{made.recipe.batch_size}", text)
        return facts

    def keep(self, name: str, text: str) -> None:
        """Writes a program's text where texts are wanted; raises `StorageError` where that cannot be."""
        if self.hlo is None or not text:
            return
        try:
            self.hlo.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{self.hlo} must be a folder that can be written, got {error.strerror}") from error
        write_atomically(self.hlo / f"{name}.hlo", text)

    def part(self, part: str) -> Compiled:
        """Compiles one program and prints its numbers; raises `UsageError` with the largest batch that fits."""
        facts = self.compile(part)
        if isinstance(facts, TooLarge):
            raise UsageError(self.refusal(part, facts))
        print("\n" + report(facts, self.where.chip, top=self.top), flush=True)
        return facts

    def refusal(self, part: str, facts: TooLarge) -> str:
        """That a program does not fit, and the batch that does."""
        sentence = too_large(facts, self.where.chip)
        if part == "evaluation":
            return f"{sentence}; the evaluation takes four training batches up to 1024 examples at a time"
        found = largest_batch(functools.partial(self.compile, part), refused=facts.batch, unit=self.unit)
        tried = f"{found.compilations} programs were compiled to find it"
        if found.batch is None:
            return f"{sentence}, and no smaller batch that was tried does ({found.compilations} programs)"
        return f"{sentence}; the largest found that fits is --batch-size {found.batch} ({tried})"

    def sweep(self) -> list[Compiled | TooLarge]:
        """Compiles the training for several batch sizes and prints a row for each."""
        found: list[Compiled | TooLarge] = []

        def compile_at(batch: int) -> Compiled | TooLarge:
            found.append(self.compile("training", batch))
            return found[-1]

        print("\n" + "\n".join(sweep(compile_at, sizes_around(self.recipe.batch_size, self.unit), self.where.chip)))
        return found


def say(text: str) -> None:
    """A line for who waits, on the error stream."""
    print(text, file=sys.stderr, flush=True)
