"""The page of published weights in fewer bits."""

import numpy as np
import pytest

from experiments.pages.quantization import FORMS, STREAM, Form, accuracy, described, published_network, smaller
from fjdl.data.cifar import cifar10
from fjdl.data.source import to_arrays
from tests.support import require_data


def test_a_row_says_what_is_of_integers() -> None:
    assert described(Form(8, 8, None)) == ("int8", "int8", "float32", "float32", "nearest")
    assert described(Form(4, 8, 8, "GPTQ", STREAM)) == ("int4", "int8", "int8", "int8", "GPTQ")
    assert len(set(FORMS)) == len(FORMS)


@pytest.mark.slow
def test_bytes_from_block_to_block_keep_the_published_accuracy() -> None:
    require_data("pretrained-resnet20-cifar10")
    splits = cifar10(validation=5000)
    train, test = (to_arrays(part) for part in (splits.train, splits.test))
    images, labels = test["image"][:1000], test["label"][:1000]
    network, params, stats = published_network()
    exact = accuracy(network, params, stats, images, labels)
    batches = [train["image"][start : start + 128] for start in range(0, 512, 128)]
    found = smaller(Form(8, 8, outputs=STREAM), network, params, stats, batches)
    assert exact > 0.9
    assert np.abs(accuracy(*found, images, labels) - exact) < 0.01
