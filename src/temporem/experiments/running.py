"""Carry out the steps of a plan, each once: what is in the cache stays, what fails stops no other."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from temporem import __version__
from temporem.errors import UserError
from temporem.experiments.steps import Step
from temporem.files import write_json
from temporem.progress import progress
from temporem.simulation.derived import derive

__all__ = ["Cache", "Processes", "run_steps"]

DONE, LOG = "step.json", "log.txt"
GRACE_SECONDS = 30.0
"""For a process to keep what it has once it was interrupted."""


class Processes:
    """Run `temporem` in processes of their own, which may crash without taking others along."""

    def __init__(self, jobs: int = 1) -> None:
        """Have `jobs` of them share the cores, unless OMP_NUM_THREADS says otherwise."""
        threads = max(1, (os.cpu_count() or 1) // jobs)
        self._environment = {"OMP_NUM_THREADS": str(threads), **os.environ}
        self._alive: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def __call__(self, words: Sequence[str], log: Path) -> int:
        """Run words of `temporem`, what it prints going to `log`; returns its exit code."""
        command = [sys.executable, "-m", "temporem", *words]
        with (
            log.open("wb") as file,
            subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, env=self._environment
            ) as process,
        ):
            self._alive.add(process)
            if self._stopped:
                process.terminate()
            try:
                return process.wait()
            finally:
                self._alive.discard(process)

    def stop(self) -> None:
        """End those that still run, and any begun later; a terminal has told them of Ctrl-C itself."""
        self._stopped = True
        until = time.monotonic() + GRACE_SECONDS
        for process in list(self._alive):
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.terminate()


Call = Callable[[Sequence[str], Path], int]


class Cache:
    """A folder of steps done, and of the beginnings of others."""

    def __init__(self, folder: Path, call: Call | None = None) -> None:
        """Keep steps in `folder`; `call` runs words of `temporem` with a log, and returns the exit code."""
        self.folder = folder
        self._run = call or Processes()

    def path(self, step: Step) -> Path:
        """Folder of a step."""
        return self.folder / step.folder_name

    def done(self, step: Step) -> bool:
        """Say whether the step was carried out."""
        return (self.path(step) / DONE).exists()

    def record(self, step: Step) -> dict[str, Any]:
        """What is known of a step that was carried out: label, command, version, seconds."""
        try:
            record: dict[str, Any] = json.loads((self.path(step) / DONE).read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{self.path(step)} is damaged ({error}): delete it.") from None
        return record

    def carry_out(self, step: Step) -> str | None:
        """Do a step, going on with what was interrupted; returns what went wrong, if anything."""
        folder = self.path(step)
        folder.mkdir(parents=True, exist_ok=True)
        command = step.command(self.folder)
        resumed = self._begun(step)
        began = time.monotonic()
        problem = self._derive(command) if step.kind == "derive" else self._call(step, command)
        if problem is None:
            facts = {"label": step.label, "kind": step.kind, "command": command, "version": __version__}
            took = {"seconds": round(time.monotonic() - began, 1), "resumed": resumed}
            write_json(folder / DONE, facts | took)
        return problem

    def _begun(self, step: Step) -> bool:
        """Say whether there is a run to go on with."""
        return step.kind == "reconstruct" and (self.path(step) / "run" / "config.json").exists()

    def _call(self, step: Step, command: Sequence[str]) -> str | None:
        log = self.path(step) / LOG
        code = self._run([*command, *(["--resume"] if self._begun(step) else [])], log)
        if code == 0:
            return None
        said = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
        said = [line.strip() for line in said if line.strip()]
        return f"{said[-1] if said else f'exit code {code}'} (all of it in {log})"

    @staticmethod
    def _derive(command: Sequence[str]) -> str | None:
        source, output, kind, value = command
        try:
            derive(Path(source), Path(output), kind, float(value))
        except UserError as error:
            return str(error)
        return None


def run_steps(
    steps: Sequence[Step],
    cache: Cache,
    what: str,
    failed_before: Mapping[Step, str] | None = None,
    jobs: int = 1,
    stop: Callable[[], None] | None = None,
) -> dict[Step, str]:
    """Carry out what is not in the cache, `jobs` at once; returns what went wrong, by step.

    Steps that failed before, and those whose inputs failed, are not tried. `what` names the whole in the
    progress bar; `stop` ends those at work, when interrupted.
    """
    failed = dict(failed_before or {})
    waiting = [step for step in steps if not cache.done(step) and step not in failed]
    if not waiting:
        return failed
    at_work: dict[Future[str | None], Step] = {}
    with progress(what, len(waiting)) as advance, ThreadPoolExecutor(jobs) as pool:
        try:
            while waiting or at_work:
                for step in _ready(waiting, at_work.values()):
                    cause = next((x for x in step.inputs if x in failed), None)
                    if cause is not None:
                        failed[step] = f"{cause.kind} {cause.label} failed"
                        advance(1, "")
                    elif len(at_work) < jobs:
                        at_work[pool.submit(cache.carry_out, step)] = step
                    else:
                        continue
                    waiting.remove(step)
                advance(0, ", ".join(f"{x.kind} {x.label}" for x in at_work.values()))
                for future in wait(at_work, return_when=FIRST_COMPLETED).done:
                    step = at_work.pop(future)
                    problem = future.result()
                    if problem is not None:
                        failed[step] = problem
                    advance(1, "")
        except KeyboardInterrupt:
            if stop is not None:
                stop()
            raise
    return failed


def _ready(waiting: Sequence[Step], at_work: Collection[Step]) -> list[Step]:
    """Those that wait for no other."""
    open_steps = {*waiting, *at_work}
    return [step for step in waiting if open_steps.isdisjoint(step.inputs)]
