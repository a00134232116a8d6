import pytest

from fjdl.analysis import Layer
from fjdl.analysis.memory import activation_memory, inference_memory, parameter_memory, training_memory

LAYERS = [
    Layer(name="conv", output=(4, 4, 3), parameters=30),
    Layer(name="pool", output=(2, 2, 3)),
    Layer(name="wide", output=(50,), parameters=650),
    Layer(name="logits", output=(10,), parameters=510),
]  # outputs of 48, 12, 50 and 10 numbers, 1,190 parameters


def test_parameters_take_their_bytes_each() -> None:
    assert [parameter_memory(LAYERS, bytes_each=size) for size in (4, 2, 1)] == [4_760, 2_380, 1_190]
    assert parameter_memory(LAYERS) == 4_760


def test_training_keeps_the_output_of_every_layer() -> None:
    assert activation_memory(LAYERS) == 4 * 120
    assert activation_memory(LAYERS, batch_size=32, bytes_each=2) == 32 * 2 * 120


def test_training_keeps_parameters_gradients_and_slots() -> None:
    assert training_memory(LAYERS) == 4 * 4_760 + 4 * 120
    assert training_memory(LAYERS, batch_size=8, activation_bytes=2, optimizer_slots=0) == 2 * 4_760 + 8 * 2 * 120
    assert training_memory(LAYERS, optimizer_slots=1) - training_memory(LAYERS, optimizer_slots=0) == 4_760


def test_inference_needs_the_largest_two_neighbours() -> None:
    assert inference_memory(LAYERS) == 4_760 + 4 * (12 + 50)
    assert inference_memory(LAYERS[:1], batch_size=3) == 120 + 3 * 4 * 48
    assert inference_memory(LAYERS, batch_size=3, bytes_each=2) == 2_380 + 3 * 2 * 62


def test_nothing_takes_nothing() -> None:
    assert parameter_memory([]) == activation_memory([]) == training_memory([]) == inference_memory([]) == 0


def test_large_networks_do_not_overflow() -> None:
    layer = Layer(name="huge", output=(2**20, 2**20), parameters=2**40)
    assert training_memory([layer], batch_size=2**20) == 4 * (4 * 2**40 + 2**60)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (parameter_memory, {"bytes_each": 0}, "bytes_each must be at least 1, got 0"),
        (activation_memory, {"batch_size": 0}, "batch_size must be at least 1, got 0"),
        (inference_memory, {"batch_size": -1}, "batch_size must be at least 1, got -1"),
        (training_memory, {"activation_bytes": 0}, "bytes_each must be at least 1, got 0"),
        (training_memory, {"optimizer_slots": -1}, "optimizer_slots must not be negative, got -1"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(function, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        function(LAYERS, **options)
