import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from temporem.errors import UserError
from temporem.experiments.running import Cache, Processes, run_steps
from temporem.experiments.steps import Step


def chain(name: str, *words: str) -> tuple[Step, Step, Step]:
    data = Step("simulate", "data", ("simulate", "-o", "{out}/movies"))
    run = Step("reconstruct", name, ("reconstruct", "{0}/movies", "-o", "{out}/run", *words), (data,))
    return data, run, Step("evaluate", name, ("evaluate", "{1}/run", "{0}/movies"), (data, run))


class Program:
    """Remembers what it was called with; fails for the words it is told to."""

    def __init__(self, *bad: str) -> None:
        self.calls: list[list[str]] = []
        self.bad = bad

    def __call__(self, words: Sequence[str], log: Path) -> int:
        self.calls.append(list(words))
        log.write_text(f"working\n{' '.join(words)} broke\n\n")
        return int(any(word in self.bad for word in words))


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    program = Program()
    cache = Cache(tmp_path, program)
    assert run_steps(chain("one"), cache, "test") == {}
    assert [x[0] for x in program.calls] == ["simulate", "reconstruct", "evaluate"]
    run_steps([*chain("one"), *chain("two", "--beta", "2")], cache, "test")
    assert [x[0] for x in program.calls[3:]] == ["reconstruct", "evaluate"]
    record = cache.record(chain("one")[1])
    assert record["command"][:2] == ["reconstruct", str(cache.path(chain("one")[0]) / "movies")]
    assert record["seconds"] >= 0
    assert not record["resumed"]


def test_a_failure_stops_only_what_needs_it(tmp_path: Path) -> None:
    program = Program("--bad")
    cache = Cache(tmp_path, program)
    steps = [*chain("good"), *chain("broken", "--bad")]
    failed = run_steps(list(dict.fromkeys(steps)), cache, "test")
    assert {(x.kind, x.label) for x in failed} == {("reconstruct", "broken"), ("evaluate", "broken")}
    reconstruct = next(x for x in failed if x.kind == "reconstruct")
    assert failed[reconstruct].startswith("reconstruct ")
    assert "--bad broke" in failed[reconstruct]
    assert "log.txt" in failed[reconstruct]
    assert cache.done(chain("good")[2])
    calls = len(program.calls)
    assert run_steps(steps, cache, "test", failed) == failed
    assert len(program.calls) == calls
    program.bad = ()
    assert run_steps(steps, cache, "test") == {}


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    data, run, _ = chain("one")

    def interrupted(words: Sequence[str], log: Path) -> int:
        if words[0] == "reconstruct":
            folder = Path(words[words.index("-o") + 1])
            folder.mkdir()
            (folder / "config.json").write_text("{}")
            raise KeyboardInterrupt
        return 0

    with pytest.raises(KeyboardInterrupt):
        run_steps([data, run], Cache(tmp_path, interrupted), "test")
    program = Program()
    cache = Cache(tmp_path, program)
    assert cache.done(data)
    assert not cache.done(run)
    run_steps([data, run], cache, "test")
    assert len(program.calls) == 1
    assert program.calls[0][-1] == "--resume"
    assert cache.record(run)["resumed"]


def test_a_derivation_that_cannot_be_made_is_a_failure_with_its_sentence(tmp_path: Path) -> None:
    data = Step("simulate", "data", ("simulate", "-o", "{out}/movies"))
    shuffled = Step("derive", "shuffled", ("{0}/movies", "{out}/movies", "shuffled", "0.0"), (data,))
    failed = run_steps([data, shuffled], Cache(tmp_path, Program()), "test")
    assert "not a folder of temporem simulate" in failed[shuffled]


def test_steps_that_need_no_other_are_done_side_by_side(tmp_path: Path) -> None:
    met, called, lock = threading.Barrier(2, timeout=30), [], threading.Lock()

    def call(words: Sequence[str], log: Path) -> int:
        with lock:
            called.append(words[0])
        if words[0] == "reconstruct":
            met.wait()
        return 0

    steps = list(dict.fromkeys([*chain("one"), *chain("two", "--beta", "2")]))
    assert run_steps(steps, Cache(tmp_path, call), "test", jobs=2) == {}
    assert called[:3] == ["simulate", "reconstruct", "reconstruct"]
    assert called[3:] == ["evaluate"] * 2


def test_a_process_leaves_its_words_in_the_log_and_its_code(tmp_path: Path) -> None:
    run = Processes()
    assert run(["--version"], tmp_path / "log.txt") == 0
    assert (tmp_path / "log.txt").read_text().startswith("temporem ")
    assert run(["sing"], tmp_path / "log.txt") == 2
    assert "no command 'sing'" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(("given", "threads"), [(None, "2"), ("3", "3")])
def test_processes_share_the_cores_unless_told_otherwise(
    given: str | None, threads: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr(sys, "executable", printing(tmp_path, 'echo "$OMP_NUM_THREADS"'))
    if given is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    Processes(4)([], tmp_path / "log.txt")
    assert (tmp_path / "log.txt").read_text().strip() == threads


def test_an_interruption_ends_what_does_not_end_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("temporem.experiments.running.GRACE_SECONDS", 0.1)
    monkeypatch.setattr(sys, "executable", printing(tmp_path, "exec sleep 60"))
    processes, codes = Processes(2), list[int]()
    thread = threading.Thread(target=lambda: codes.append(processes([], tmp_path / "log.txt")))
    thread.start()
    processes.stop()
    thread.join(30)
    assert codes == [-15]


def printing(folder: Path, line: str) -> str:
    """A program that does this line, whatever it is called with."""
    program = folder / "program"
    program.write_text(f"#!/bin/sh\n{line}\n")
    program.chmod(0o755)
    return str(program)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    cache = Cache(tmp_path, Program())
    data = chain("one")[0]
    run_steps([data], cache, "test")
    (cache.path(data) / "step.json").write_text("{")
    with pytest.raises(UserError, match="delete it"):
        cache.record(data)
