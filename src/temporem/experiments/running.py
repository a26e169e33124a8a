"""Carry out the steps of a plan, each once: what is in the cache stays, what fails stops no other."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from temporem import __version__
from temporem.errors import UserError
from temporem.experiments.steps import Step
from temporem.files import write_json
from temporem.progress import progress
from temporem.simulation.derived import derive

__all__ = ["Cache", "run_steps"]

DONE, LOG = "step.json", "log.txt"


def in_a_process(words: Sequence[str], log: Path) -> int:
    """Run `temporem` in a process of its own, which may crash without taking others along; its exit code."""
    command = [sys.executable, "-m", "temporem", *words]
    with log.open("w", encoding="utf-8") as file:
        return subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode


Call = Callable[[Sequence[str], Path], int]


class Cache:
    """A folder of steps done, and of the beginnings of others."""

    def __init__(self, folder: Path, call: Call | None = None) -> None:
        """Keep steps in `folder`; `call` runs words of `temporem` with a log, and returns the exit code."""
        self.folder = folder
        self._run = in_a_process if call is None else call

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
    steps: Sequence[Step], cache: Cache, what: str, failed_before: Mapping[Step, str] | None = None
) -> dict[Step, str]:
    """Carry out what is not in the cache; returns what went wrong, by step.

    Steps that failed before, and those whose inputs failed, are not tried. `what` names the whole in the
    progress bar.
    """
    failed = dict(failed_before or {})
    waiting = [step for step in steps if not cache.done(step) and step not in failed]
    if not waiting:
        return failed
    with progress(what, len(waiting)) as advance:
        for step in waiting:
            advance(0, f"{step.kind} {step.label}")
            cause = next((x for x in step.inputs if x in failed), None)
            problem = cache.carry_out(step) if cause is None else f"{cause.kind} {cause.label} failed"
            if problem is not None:
                failed[step] = problem
            advance(1, f"{step.kind} {step.label}")
    return failed
