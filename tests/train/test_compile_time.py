"""The time of making programs."""

import threading

import jax
import jax.numpy as jnp

from fjdl.train.compile_time import CompileTime, total_length


def test_the_length_of_spans_counts_what_they_share_once() -> None:
    assert total_length([]) == 0.0
    assert total_length([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (0.5, 1.0)]) == 4.0


def test_programs_are_counted_where_they_are_made_and_by_the_thread_that_makes_them() -> None:
    with CompileTime() as counted:
        jax.jit(lambda x: jnp.sin(x) + 3)(1.0)
        once = counted.seconds()
        other = threading.Thread(target=lambda: jax.jit(lambda x: jnp.cos(x) + 3)(1.0))
        other.start()
        other.join()
        assert counted.seconds() == once > 0
    jax.jit(lambda x: jnp.tan(x) + 3)(1.0)
    assert counted.seconds() == once
