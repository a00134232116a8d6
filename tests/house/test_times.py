"""The table of `make test-times`."""

import re

import pytest

from tests.running import times

pytest_plugins = "pytester"


@pytest.mark.skipif(not times.STATUS.exists(), reason="only Linux tells the peak memory of a process")
def test_each_file_has_its_seconds_and_peak_memory(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "COSTS", {})
    pytester.makepyfile(
        test_small="def test_nothing(): pass",
        test_big="""
            import time
            import pytest

            @pytest.mark.parametrize("call", range(2))
            def test_memory(call):
                assert len(bytearray(300 * 2**20)) and time.sleep(0.05) is None
        """,
    )
    result = pytester.runpytest_inprocess("-p", "tests.running.times")
    found = re.findall(r"([\d.]+) s +(\d+) MiB +(\d+) tests  (\w+)\.py", result.stdout.str())
    assert [row[3] for row in found] == ["test_big", "test_small"]
    (big, big_peak, big_tests, _), (small, small_peak, small_tests, _) = found
    assert 0.1 <= float(big) <= 5
    assert float(small) < float(big)
    assert int(big_peak) >= int(small_peak) + 250
    assert (big_tests, small_tests) == ("2", "1")
