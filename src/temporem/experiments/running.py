"""Carry out the steps of a plan, each once: what is in the cache stays, what fails stops no other."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
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


class Cache:
    """A folder of steps done, and of the beginnings of others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

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
        began = time.monotonic()
        problem = self._derive(command) if step.kind == "derive" else self._call(step, command)
        if problem is None:
            facts = {"label": step.label, "kind": step.kind, "command": command, "version": __version__}
            write_json(folder / DONE, {**facts, "seconds": round(time.monotonic() - began, 1)})
        return problem

    def _call(self, step: Step, command: Sequence[str]) -> str | None:
        folder = self.path(step)
        resume = ["--resume"] if (folder / "run" / "config.json").exists() else []
        words = [sys.executable, "-m", "temporem", *command, *resume]
        with (folder / LOG).open("w", encoding="utf-8") as log:
            code = subprocess.run(words, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
        if code == 0:
            return None
        said = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"{said[-1] if said else f'exit code {code}'} (all of it in {folder / LOG})"

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
