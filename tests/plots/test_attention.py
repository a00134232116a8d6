import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from fjdl.functional import dot_product_weights
from fjdl.plots import attention_figure

SOURCE, TARGET = ["the", "cat", "sat", "<eos>"], ["die", "Katze", "saß"]


def draw(weights: object, **options: object) -> Figure:
    return attention_figure(np.asarray(weights), **({"outputs": TARGET, "inputs": SOURCE, "title": ""} | options))


def test_rows_are_output_tokens_and_columns_input_tokens(rng: np.random.Generator) -> None:
    q, k = (rng.standard_normal((1, t, 1, 4)).astype(np.float32) for t in (3, 4))
    weights = np.asarray(dot_product_weights(q, k)[0, 0])
    figure = draw(weights)
    figure.savefig(io.BytesIO())
    axes = figure.axes[0]
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), weights, rtol=1e-6)
    assert axes.images[0].get_clim() == (0, 1)
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("output token", "input token")
    assert [label.get_text() for label in axes.get_yticklabels()] == TARGET
    assert [label.get_text() for label in axes.get_xticklabels()] == SOURCE
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first output stands on top


def test_each_token_needs_a_name() -> None:
    with pytest.raises(ValueError, match="outputs must name each of the 3 tokens, got 1 names"):
        draw(np.zeros((3, 4), np.float32), outputs=["one"])
    with pytest.raises(ValueError, match="inputs must name each of the 4 tokens, got 0 names"):
        draw(np.zeros((3, 4), np.float32), inputs=[])


@pytest.mark.parametrize("wrong", [np.nan, -0.5, 1.5])
def test_what_is_no_share_is_refused(wrong: float) -> None:
    weights = np.zeros((3, 4), np.float32)
    weights[1, 1] = wrong
    with pytest.raises(ValueError, match=r"weights must lie in \[0, 1\]"):
        draw(weights)
