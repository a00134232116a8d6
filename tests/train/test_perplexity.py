"""What an evaluation of a language model gives depends on the text and the parameters alone."""

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from fjdl.data.orders import lanes
from fjdl.data.source import Source
from fjdl.data.text import next_token_windows
from fjdl.models import LSTMLanguageModel
from fjdl.nn import pure
from fjdl.train.evaluation import evaluate
from fjdl.train.tasks import language_model
from fjdl.transfer import recurrent_to_torch
from tests.train.toy import mesh, random_params

TEXT = np.random.default_rng(0).integers(0, 9, 80).astype(np.int32)
LANES = 4  # 79 predictions in lanes of 19 and 20
NETWORK = LSTMLanguageModel(vocabulary=9, features=6, hidden=6, layers=1)


@cache
def params() -> Any:
    model = pure(NETWORK)
    return random_params(model, ((TEXT[None], None), NETWORK.begin(1)))


@cache
def by_torch() -> tuple[float, float]:
    """Perplexity and accuracy of all predictions, each lane as one whole."""
    table = torch.tensor(params()["embedding"]["embedding"])
    layer = torch.nn.LSTM(6, 6, batch_first=True)
    layer.load_state_dict({name: torch.tensor(x) for name, x in recurrent_to_torch(params()["layer0"]).items()})
    nats, right = [], []
    bounds = np.arange(LANES + 1) * 79 // LANES
    for start, stop in pairwise(bounds):
        ids = torch.tensor(TEXT[start : stop + 1]).long()
        logits = layer(table[ids[None, :-1]])[0][0].detach() @ table.T
        nats.append(torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none"))
        right.append(logits.argmax(-1) == ids[1:])
    return float(torch.cat(nats).double().mean().exp()), float(torch.cat(right).double().mean())


@pytest.mark.parametrize(
    ("batch_size", "devices", "steps", "streamed"),
    [(1, 1, 7, False), (4, 1, 7, False), (3, 2, 5, False), (8, 4, 20, False), (4, 2, 7, True)],
)
def test_perplexity_does_not_depend_on_batches_devices_and_windows(
    batch_size: int, devices: int, steps: int, streamed: bool
) -> None:
    windows = next_token_windows(TEXT, steps=steps, lanes=LANES)
    task = language_model(9)
    found = evaluate(
        pure(NETWORK),
        task.metrics,
        params(),
        {},
        Source(windows.length, windows.element, streamed),
        inputs=lambda batch: (batch["tokens"], batch["length"]),
        loss=task.loss,
        order=lanes(LANES),
        carry=NETWORK.begin,
        batch_size=batch_size,
        mesh=mesh(devices),
    )
    perplexity, accuracy = by_torch()
    np.testing.assert_allclose(found["perplexity"], perplexity, rtol=1e-6)
    np.testing.assert_allclose(found["loss"], np.log(perplexity), rtol=1e-6)
    np.testing.assert_allclose(found["accuracy"], accuracy, rtol=1e-6)
