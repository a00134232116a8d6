from pathlib import Path

from tests.experiments.support import Command, snapshot


def test_it_prints_what_a_run_costs_takes_one_step_and_writes_nothing(tmp_path: Path, command: Command) -> None:
    outcome = command("train", "configs/digits_mlp.py", "--dry-run", "--run-dir", tmp_path / "run")
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    count = 128 * (64 + 1) + 64 * (128 + 1) + 10 * (64 + 1)
    macs = 64 * 128 + 128 * 64 + 64 * 10

    assert lines[0] == "digits: 1168 training, 269 validation, 360 test"
    (total,) = [line.split() for line in lines if line.startswith("total")]
    assert total == ["total", "10", f"{count:,}", f"{macs:,}", "0", f"{2 * macs:,}"]
    assert any(line.split() == ["hidden1/kernel", "(64,", "128)"] for line in lines)
    assert any(line.startswith(f"parameters: {count:,} in {4 * count:,} bytes") for line in lines)
    # 1168 images of 64 bytes and their int32 labels
    assert f"data on each of 8 devices: {1168 * (64 + 4):,} bytes" in lines

    words = lines[-1].replace(",", "").split()
    assert words[:3] == ["one", "step:", "loss"]
    assert 1.5 < float(words[3]) < 4.0  # ln 10 = 2.3 is the loss of chance
    assert float(words[words.index("norm") + 1]) > 0
    assert words[-1] == "fine"

    assert snapshot(tmp_path) == {}
    assert not (tmp_path / "run").exists()
