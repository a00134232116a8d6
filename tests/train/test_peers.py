"""Processes that find one another, agree, and miss those that are gone; here they are threads."""

import queue
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fjdl import peers
from fjdl.errors import PeerLost
from fjdl.peers import Line, Seat, line as lines, open_line
from fjdl.peers.relay import relayed
from fjdl.peers.roll_call import free_server
from tests.support import ROOT

AGAIN = "; the same command on all processes resumes"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def address() -> str:
    return f"127.0.0.1:{free_port()}"


class Job:
    """The lines of a few processes, and the sentences with which each of them would end."""

    def __init__(self, count: int) -> None:
        self.ended: list[queue.Queue[str]] = [queue.Queue() for _ in range(count)]
        there = address()

        def come(index: int) -> Line:
            return open_line(Seat(index, count, there), within=20.0, lost=self.ended[index].put)

        with ThreadPoolExecutor(count) as pool:
            self.lines = list(pool.map(come, range(count)))

    def all(self, action: Callable[[Line], Any]) -> list[Any]:
        with ThreadPoolExecutor(len(self.lines)) as pool:
            return [future.exception() or future.result() for future in [pool.submit(action, x) for x in self.lines]]

    def sentences(self, *indices: int) -> set[str]:
        return {self.ended[index].get(timeout=10.0) for index in indices}

    def __enter__(self) -> "Job":
        return self

    def __exit__(self, *_: Any) -> None:
        for line in self.lines:
            line.leave()


def test_all_hear_what_each_says_in_their_order() -> None:
    with Job(3) as job:
        for turn in range(3):
            assert (
                job.all(lambda line, turn=turn: line.exchange([turn, line.seat.index]))
                == [[[turn, 0], [turn, 1], [turn, 2]]] * 3
            )
        assert job.all(lambda line: line.told(line.seat.index + 7)) == [7] * 3
        assert [line.first for line in job.lines] == [True, False, False]


def test_processes_that_differ_are_named_on_every_one() -> None:
    with Job(3) as job:
        assert job.all(lambda line: line.agree({"data": "ab", "devices": 4})) == [None] * 3
        found = job.all(lambda line: line.agree({"data": "cd" if line.seat.index == 2 else "ab", "devices": 4}))
        assert all(isinstance(error, PeerLost) for error in found)
        sentence = "process 2 of 3 has data cd, process 0 has ab; all must be started alike"
        assert [str(error) for error in found] == [sentence] * 3


@pytest.mark.parametrize("gone", [0, 1])
def test_a_process_that_is_killed_is_missed_by_all_others_at_once(gone: int) -> None:
    with Job(3) as job:
        job.lines[gone]._closed = True
        for link in job.lines[gone]._links.values():
            link.close()
        assert job.sentences(*{0, 1, 2} - {gone}) == {
            f"process {gone} of 3 ended without a word, killed or crashed{AGAIN}"
        }


def test_a_process_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "GRACE", 0.01)
    with Job(3) as job:
        job.lines[1].leave(why="row 5 is bad", status=3)
        assert job.sentences(0, 2) == {"process 1 of 3 ended with status 3: row 5 is bad"}


def test_the_first_process_stays_until_the_others_have_ended_with_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "GRACE", 0.3)
    with Job(3) as job:

        def end(index: int) -> str:
            sentence = job.ended[index].get(timeout=10.0)
            for link in job.lines[index]._links.values():
                link.close()
            return sentence

        with ThreadPoolExecutor(2) as pool:
            others, start = pool.map(end, (1, 2)), time.monotonic()
            job.lines[0].leave(why="row 5 is bad", status=3)
            assert 0.3 <= time.monotonic() - start < 0.6
            assert [*others] == ["process 0 of 3 ended with status 3: row 5 is bad"] * 2


def test_processes_that_leave_are_not_missed() -> None:
    with Job(3) as job:
        for line in job.lines:
            line.leave()
            time.sleep(0.05)
        assert all(ended.empty() for ended in job.ended)


def test_a_process_without_signs_of_life_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "SILENCE", 0.2)
    with Job(2) as job:
        assert job.sentences(0) <= {f"process 1 of 2 has been silent for 0.2 s{AGAIN}"}


def test_a_process_that_does_not_answer_in_time_is_named_on_every_one() -> None:
    with Job(3) as job:

        def answer(line: Line) -> None:
            if line.seat.index != 2:
                line.exchange(1, within=0.2)

        threads = [threading.Thread(target=answer, args=(line,), daemon=True) for line in job.lines]
        for thread in threads:
            thread.start()
        assert job.sentences(0, 1, 2) == {f"process 2 of 3 did not answer within 0.2 s{AGAIN}"}


def came(*seats: Seat, within: float = 0.5) -> list[str]:
    """What processes say that come to a training which does not begin."""

    def come(seat: Seat) -> str:
        with pytest.raises(PeerLost) as raised:
            open_line(seat, within=within if seat.index == 0 else 10.0)
        return str(raised.value)

    with ThreadPoolExecutor(len(seats)) as pool:
        return list(pool.map(come, seats))


def test_a_process_that_does_not_come_is_named_on_every_other_one() -> None:
    there = address()
    sentence = f"processes 2, 3 of 4 did not come to {there} within 0.5 s"
    assert came(Seat(0, 4, there), Seat(1, 4, there)) == [sentence] * 2


def test_a_process_that_comes_when_nobody_waits_says_so() -> None:
    there = address()
    with pytest.raises(PeerLost, match=re.escape(f"process 0 of 2 did not answer at {there} within 0.2 s")):
        open_line(Seat(1, 2, there), within=0.2)


def test_processes_of_two_trainings_are_told_apart() -> None:
    there = address()
    sentence = "process 1 says that 3 processes take part, process 0 that 2 do"
    assert came(Seat(0, 2, there), Seat(1, 3, there), within=5.0) == [sentence] * 2
    there = address()
    sentence = "two processes say that they are process 1 of 3"
    assert came(Seat(0, 3, there), Seat(1, 3, there), Seat(1, 3, there), within=5.0) == [sentence] * 3


def test_whoever_else_connects_is_passed_over() -> None:
    there = address()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(open_line, Seat(0, 2, there), within=10.0)
        time.sleep(0.2)
        with socket.create_connection(("127.0.0.1", int(there.rpartition(":")[2]))) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\n\n")
            second = pool.submit(open_line, Seat(1, 2, there), within=10.0)
            lines = first.result(), second.result()
    assert [line.seat.index for line in lines] == [0, 1]
    for line in lines:
        line.leave()


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("", 0)) as server:
        there = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(PeerLost, match=f"process 0 of 2 cannot listen at {there}: Address already in use"):
            open_line(Seat(0, 2, there), within=0.2)


def test_a_slice_takes_the_first_port_that_is_free() -> None:
    with socket.create_server(("", 0)) as taken:
        port, free = taken.getsockname()[1], free_port()
        with free_server(2, ports=[port, free]) as server:
            assert server.getsockname()[1] == free
        with pytest.raises(PeerLost, match=f"process 0 of 2 needs a free port of {port} to {port}, and all are in use"):
            free_server(2, ports=[port])


def test_a_relay_passes_bytes_on_and_the_end_of_its_target_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, _, port = relayed("127.0.0.1", server.getsockname()[1], late=0.5).rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10.0) as near:
            far, _ = server.accept()
            with far:
                near.sendall(b"question")
                assert far.recv(100) == b"question"
                far.sendall(b"answer")
                assert near.recv(100) == b"answer"
            start = time.monotonic()
            assert near.recv(100) == b""
            assert time.monotonic() - start > 0.4


def test_a_relay_ends_a_connection_of_which_the_other_end_is_gone_or_not_there_yet() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = server.getsockname()[1]
        host, _, port = relayed("127.0.0.1", target).rpartition(":")
        near = socket.create_connection((host, int(port)), timeout=10.0)
        far, _ = server.accept()
        near.close()
        with far:
            assert far.recv(100) == b""
    with socket.create_connection((host, int(port)), timeout=10.0) as near:
        assert near.recv(100) == b""


@pytest.mark.by_day_on_pin(0)
def test_a_process_has_one_line_and_leaves_it() -> None:
    assert peers.current() is None
    with Job(2) as job:
        peers.use(job.lines[1])
        try:
            assert peers.current() is job.lines[1]
            peers.leave(why="row 5 is bad", status=3)
        finally:
            peers.use(None)
        assert job.sentences(0) == {"process 1 of 2 ended with status 3: row 5 is bad"}
    peers.leave()


def test_tpus_count_where_jax_may_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"/dev": ["accel0"], "/dev/vfio": []}
    monkeypatch.setattr("pathlib.Path.glob", lambda path, pattern: iter(found[str(path)]))
    monkeypatch.delenv("JAX_PLATFORMS")
    assert peers.on_tpu()
    monkeypatch.setenv("JAX_PLATFORMS", "tpu,cpu")
    assert peers.on_tpu()
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert not peers.on_tpu()
    monkeypatch.delenv("JAX_PLATFORMS")
    found.update({"/dev": []})
    assert not peers.on_tpu()


HELD_BACK = """
from fjdl.peers.line import ending
from fjdl.train.array_files import _held_back_errors
end = ending()
with _held_back_errors():
    end("process 1 of 2 ended without a word")
"""


@pytest.mark.by_day_on_pin(0)
def test_a_process_that_ends_while_it_writes_a_checkpoint_says_why() -> None:
    found = subprocess.run([sys.executable, "-c", HELD_BACK], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert found.returncode == PeerLost.exit_status == 7
    assert found.stderr.splitlines()[-1].startswith("fjdl: process 1 of 2 ended without a word")
