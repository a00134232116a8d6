from pathlib import Path

import pytest
import sacrebleu

from experiments.evaluate import load_run
from fjdl.train.state import evaluated_params
from fjdl.train.writing import answered
from tests.experiments import support
from tests.experiments.support import USAGE, Command, sentence

CONFIG = """from tests.train.toy_writer import {name}

def recipe(*, seed: int = 0):
    return {name}(seed=seed)
"""


def trained(name: str, folder: Path) -> Path:
    """A finished run of a toy that writes."""
    config = folder / f"{name}.py"
    config.write_text(CONFIG.format(name=name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["train.py", str(config), "--run-dir", str(folder / name)])
        assert support.invoke("train") == 0
    return folder / name


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory, private_folders: None) -> Path:
    return trained("writer", tmp_path_factory.mktemp("writer"))


@pytest.fixture(scope="module")
def translations(tmp_path_factory: pytest.TempPathFactory, private_folders: None) -> Path:
    return trained("translator", tmp_path_factory.mktemp("translator"))


@pytest.mark.by_day_on_pin(1)
def test_a_prompt_is_continued_by_the_best_token_by_chance_and_by_beam_search(letters: Path, command: Command) -> None:
    cold = command("generate", letters, "--prompt", "ab", "--temperature", 0)
    assert (cold.status, cold.out) == (0, "abcd\n")
    options = ("generate", letters, "--prompt", "ab", "--temperature", 3, "--top-k", 5, "--count", 3, "--length", 6)
    hot = command(*options, "--seed", 4)
    lines = hot.out.splitlines()
    assert [line.partition(",")[0] for line in lines[::2]] == ["--- 1", "--- 2", "--- 3"]
    assert all(line.startswith("ab") and len(line) <= 8 for line in lines[1::2])
    assert len(set(lines[1::2])) > 1
    assert command(*options, "--seed", 4).out == hot.out
    assert command("generate", letters, "--prompt", "ab", "--top-p", 0.01).out == "abcd\n"
    fresh = command("generate", letters, "--prompt", "ab", "--temperature", 0, "--repetition", 50).out
    assert len(set(fresh)) == len(fresh)  # no letter twice
    beams = command("generate", letters, "--prompt", "ab", "--beams", 3, "--count", 2).out.splitlines()
    assert beams[1] == "abcd"
    scores = [float(line.rpartition(" ")[2]) for line in beams[::2]]
    assert 0 > scores[0] > scores[1]


@pytest.mark.by_day_on_pin(1)
def test_an_answer_stands_alone_and_bleu_is_that_of_sacrebleu(translations: Path, command: Command) -> None:
    assert command("generate", translations, "--prompt", "abcd").out == "b c d a\n"
    run = load_run(translations)
    generation = run.recipe.generation
    answers = answered(generation, evaluated_params(run.state), run.state.stats, run.splits.test, batch_size=10)
    references = generation.references("test")
    assert answers == references
    (line,) = [line for line in command("evaluate", translations).out.splitlines() if "BLEU" in line]
    expected = sacrebleu.corpus_bleu(answers, [references]).score
    assert line == (
        f"  BLEU       {expected:.2f}, 95 % interval over sentences 100.00 to 100.00, "
        "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|beams:2|alpha:0|length:8"
    )


def test_what_cannot_be_written_is_refused_in_one_sentence(
    letters: Path, translations: Path, trained_run: Path, command: Command
) -> None:
    for run, options, rule in (
        (trained_run, ("--prompt", "a"), f"{trained_run} writes no text: its recipe has no generation"),
        (translations, ("--prompt", ""), "prompt must hold at least one token, got ''"),
        (letters, ("--prompt", "a", "--count", 0), "count must be at least 1, got 0 (FJDL_TRACEBACK=1 shows where)"),
        (letters, ("--prompt", "a", "--top-k", 0), "top-k must be at least 1, got 0 (FJDL_TRACEBACK=1 shows where)"),
        (
            letters,
            ("--prompt", "a", "--top-p", 2.0),
            "top-p must lie in (0, 1], got 2.0 (FJDL_TRACEBACK=1 shows where)",
        ),
        (
            letters,
            ("--prompt", "a", "--beams", 2, "--temperature", 1.0),
            "beams must not be given together with --temperature, a beam search draws nothing",
        ),
        (
            letters,
            ("--prompt", "a", "--beams", 1, "--count", 2),
            "count must be at most the number of beams, 1, got 2",
        ),
    ):
        outcome = command("generate", run, *options)
        assert (outcome.status, sentence(outcome)) == (USAGE, rule)
