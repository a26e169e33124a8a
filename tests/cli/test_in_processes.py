"""Several processes at one command: one of them speaks and writes, and none is left behind."""

import json
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch

from temporem.cli import processes
from temporem.cli.processes import in_processes
from temporem.errors import UserError
from temporem.fitting.options import FittingOptions
from temporem.fitting.processes import Processes

TWO = FittingOptions(devices=2, device="cpu")


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    environment, threads = environment_of_all(), torch.get_num_threads()
    yield
    assert list(temporary.iterdir()) == []
    assert active_children() == []
    assert not torch.distributed.is_initialized()
    assert (environment_of_all(), torch.get_num_threads()) == (environment, threads)


def environment_of_all() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def look(found: Path, output: Path, processes: Processes) -> None:
    """Leave a note of what this process sees."""
    total = float(processes.summed(torch.tensor(1.0 + processes.rank)))
    begun = sorted(path.name for path in output.iterdir()) if output.exists() else []
    seen = {"output": str(output), "begun": begun, "total": total, "threads": torch.get_num_threads()}
    (found / f"{processes.rank}.json").write_text(json.dumps(seen))
    output.mkdir(exist_ok=True)
    (output / f"written by {processes.rank}").touch()


def seen(found: Path) -> list[dict[str, object]]:
    return [json.loads((found / f"{rank}.json").read_text()) for rank in (0, 1)]


def fail(output: Path, processes: Processes) -> None:
    if processes.rank == 1:
        raise UserError("its disk is full: make room.")
    processes.wait()


def die(output: Path, processes: Processes) -> None:
    if processes.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    processes.wait()


def tire(output: Path, processes: Processes) -> None:
    if processes.rank == 1:
        time.sleep(600)
    raise KeyboardInterrupt


def test_only_the_first_process_writes_the_run(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        in_processes(partial(look, tmp_path), TWO, tmp_path / "run", False)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    first, second = seen(tmp_path)
    assert first["total"] == second["total"] == 3.0
    assert first["threads"] == second["threads"] == 1
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["written by 0"]


def test_to_resume_each_has_a_copy_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    in_processes(partial(look, tmp_path), TWO, tmp_path / "run", True)
    assert [found["begun"] for found in seen(tmp_path)] == [["config.json"], ["config.json"]]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["config.json", "written by 0"]


def test_a_failure_of_another_process_is_told_by_the_first(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError) as raised:
        in_processes(fail, TWO, tmp_path / "run", False)
    assert str(raised.value) == "another of the processes has stopped: its disk is full: make room."
    assert capfd.readouterr().err == ""


def test_no_process_waits_for_one_that_has_died(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="another of the processes has stopped without a word"):
        in_processes(die, TWO, tmp_path / "run", False)


def test_ctrl_c_ends_the_others_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_IN_SECONDS", 1.0)
    with pytest.raises(KeyboardInterrupt):
        in_processes(tire, TWO, tmp_path / "run", False)
    assert capfd.readouterr().err == ""
