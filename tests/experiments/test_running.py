from collections.abc import Sequence
from pathlib import Path

import pytest

from temporem.errors import UserError
from temporem.experiments.running import Cache, in_a_process, run_steps
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


def test_a_process_leaves_its_words_in_the_log_and_its_code(tmp_path: Path) -> None:
    assert in_a_process(["--version"], tmp_path / "log.txt") == 0
    assert (tmp_path / "log.txt").read_text().startswith("temporem ")
    assert in_a_process(["sing"], tmp_path / "log.txt") == 2
    assert "no command 'sing'" in (tmp_path / "log.txt").read_text()


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    cache = Cache(tmp_path, Program())
    data = chain("one")[0]
    run_steps([data], cache, "test")
    (cache.path(data) / "step.json").write_text("{")
    with pytest.raises(UserError, match="delete it"):
        cache.record(data)
