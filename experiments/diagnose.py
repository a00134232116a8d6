"""What is wrong with a run, and what to do: `python -m experiments.diagnose runs/digits --evaluate`.

It reads the records of a run, finished or not, and answers questions about it in words, with numbers and advice; with
`--evaluate` it also looks into the network of the best epoch. With `--debug-nans` it does the last refused step once
more and names the operation and the parameter that were not finite first. docs/diagnosis.md has examples.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import tyro

from experiments.command import run_guarded
from fjdl.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Options:
    """Answer questions about a run in words, with numbers and advice."""

    run: tyro.conf.Positional[Path]
    """The run directory."""
    evaluate: bool = False
    """Also evaluate its best epoch: units, gradients, probabilities, labels; and draw units and distributions."""
    examples: int = 256
    """How many training examples units and gradients are looked at with."""
    aim: float = 1.0
    """The score that the task allows, such as that of people: from 0 to 1."""
    debug_nans: bool = False
    """Instead do the last refused step once more, one operation at a time, and name what was not finite first."""
    step: int | None = None
    """The step that --debug-nans does once more."""
    json: bool = False
    """Print a line of JSON for each finding in place of text."""


def main() -> None:
    """Prints the findings, those with trouble first."""
    options = tyro.cli(Options, args=sys.argv[1:])
    if options.examples < 1 or not 0 <= options.aim <= 1:
        raise UsageError(f"examples must be at least 1 and aim lie in [0, 1], got {options.examples} and {options.aim}")
    from experiments.diagnoses.from_records import from_records, read_finished, read_records

    if not options.run.is_dir():
        raise UsageError(f"{options.run} is not a run directory")
    if options.debug_nans or options.step is not None:
        from experiments.diagnoses.steps import of_run

        print("\n".join(of_run(options.run, options.step)))
        return
    records, result = read_records(options.run), read_finished(options.run)
    found, more = from_records(records, result, aim=options.aim), []
    if options.evaluate:
        measured, more = evaluated(options)
        found += measured
    if options.json:
        from fjdl.train.json_files import encode_json

        print("".join(encode_json(finding._asdict()) for finding in found), end="")
        return
    state = "finished" if result else "not finished"
    print("\n".join([f"{options.run}, {len(records)} epochs, {state}", *lines(found), *more]))


def evaluated(options: Options) -> tuple[list[Any], list[str]]:
    """Findings of the best epoch's network, and lines about suspect labels and figures."""
    from experiments.diagnoses.figures import draw
    from experiments.diagnoses.measured import answers, look, named_suspects, of_answers, of_layers
    from experiments.evaluate import load_run

    run = load_run(options.run)
    looked, classes = look(run, options.examples), run.splits.classes
    found, lines = of_layers(looked), []
    told = answers(run, "validation")
    if told is not None:
        found += of_answers(told, classes)
        lines = [f"  {line}" for line in named_suspects(told, classes)]
        lines = [*(["suspect labels of the validation part:"] if lines else []), *lines]
    return found, [*lines, *map(str, draw(options.run, run, looked))]


def lines(found: list[Any]) -> list[str]:
    """Trouble first, with advice; then what is fine."""
    told = [line for finding in found if finding.trouble for line in _with_advice(finding)]
    fine = [f"  {finding.name}: {finding.words}" for finding in found if not finding.trouble]
    return [*(told or ["nothing was found that needs a remedy"]), *(["fine:", *fine] if fine else [])]


def _with_advice(finding: Any) -> list[str]:
    return [f"! {finding.name}: {finding.words}", *(f"    - {advice}" for advice in finding.advice)]


if __name__ == "__main__":
    run_guarded(main)
