from pathlib import Path

import pytest

from experiments.pages.architectures import SECTION, networks
from experiments.pages.markdown import markers
from tests.experiments.support import Command, sentence

pytestmark = pytest.mark.slow  # pages of the documentation, which change seldom


def test_the_layers_of_one_network_are_the_table_of_the_literature(command: Command, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("\n".join(["before", *markers(SECTION), "after"]))
    outcome = command("pages.architectures", "--only", "LeNet-5", "--write", page)
    assert outcome.status == 0
    assert "total    10            61,706  416,520     6,304  839,344" in outcome.out
    assert outcome.out.strip() in page.read_text()


def test_the_size_of_the_images_can_be_chosen(command: Command) -> None:
    outcome = command("pages.architectures", "--only", "CIFAR ResNet-20", "--size", 28)
    assert "28×28×16" in outcome.out


def test_an_unknown_network_is_answered_with_those_there_are(command: Command) -> None:
    outcome = command("pages.architectures", "--only", "LeNet")
    assert outcome.status == 2
    assert "only must be one of LeNet-5, LeNet-5 of 1998, AlexNet" in sentence(outcome)


def test_the_published_page_has_every_network() -> None:
    page = Path("docs/architectures.md").read_text()
    assert [name for name in networks() if f"\n{name} " not in page] == []
