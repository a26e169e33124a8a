"""What benchmarks of runs share: arms fitted and scored once, their figures, differences frame by frame.

An arm is a name and the options of `temporem reconstruct` that it stands for. A folder has a run for each,
and beside it what it took: seconds of the clock and of the processor in all threads, and memory.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from temporem.evaluation.comparison import ComparisonOptions, compare_runs
from temporem.evaluation.evaluation_folder import read_evaluation
from temporem.files import write_json, write_text

MASKS = ("whole", "molecule", "moving")


@dataclass(frozen=True)
class Took:
    """How long a fit was, in seconds, and the most memory that it held at a time."""

    clock: float
    processor: float
    peak_in_gigabytes: float


def reconstruct(simulation: Path, run: Path, options: Sequence[object]) -> Took:
    """Fit an arm, or go on with it, unless it is there."""
    took = run.with_name(f"{run.name}.seconds.json")
    if not took.exists():
        resume = ["--resume"] if (run / "config.json").exists() else []
        write_json(
            took, asdict(_call("reconstruct", simulation / "movies.star", "-o", run, *options, *resume))
        )
    return Took(**json.loads(took.read_text(encoding="utf-8")))


def evaluate(simulation: Path, run: Path, options: Sequence[object]) -> dict:
    """Score an arm, unless that is done; `evaluation.json`."""
    result = run / "evaluation" / "evaluation.json"
    if not result.exists():
        _call("evaluate", run, "--truth", simulation, *options)
    return json.loads(result.read_text(encoding="utf-8"))


def rows_of(summary: dict, data: str, arm: str, took: Took) -> list[dict]:
    """Rows of a table: the arm's, and where references were scored theirs, and the arm's on their frames."""
    methods = dict(summary["methods"])
    rows = [row_of(data, arm, methods.pop("run")) | {"seconds": took.clock, "processor s": took.processor}]
    if methods:
        rows.append(row_of(data, f"{arm}, same frames as references", summary["run_on_reference_frames"]))
    return rows + [row_of(data, name, figures) for name, figures in methods.items()]


def row_of(data: str, method: str, figures: dict) -> dict:
    """A row of a table: what an evaluation says of a method."""
    row = {"data": data, "method": method, "frames": figures["frames"]}
    for mask in MASKS:
        if mask in figures:
            row[f"{mask} (Å)"] = figures[mask]["resolution_in_angstroms"]["mean_over_frames"]
    return row | {"PSNR (dB)": figures["psnr_in_decibels"], "SSIM": figures["ssim"]}


def gain_over(run: Path, other: Path) -> dict:
    """How much better a run is than another, frame by frame, with 95 % intervals over movies."""
    both = {"run": read_evaluation(run), "other": read_evaluation(other)}
    summary = compare_runs(both, ComparisonOptions(against="other")).summary
    better = summary["improvement"]["run"]
    row = {"frames": summary["frames"]}
    for mask in ("whole", "moving"):
        if mask in better:
            frames = better[mask]["at_half"]
            row[f"{mask} better by (Å)"] = _interval(frames["mean_over_frames"]["angstroms"], 3)
            row[f"{mask} (%)"] = _interval(frames["mean_over_frames"]["percent"], 2)
            row[f"{mask} frames"] = f"{100 * frames['fraction_improved']['value']:.0f} %"
    return row | {"PSNR better by (dB)": _interval(better["psnr_in_decibels"]["difference"], 2)}


def markdown(rows: Sequence[dict]) -> str:
    """A table; what a row lacks is left empty."""
    table = pd.DataFrame(rows).astype(object).fillna("")
    cells = [[f"{x:.4g}" if isinstance(x, float) else str(x) for x in row] for row in table.to_numpy()]
    lines = [list(table.columns), ["---"] * len(table.columns), *cells]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def write_tables(out: Path, **tables: Sequence[dict]) -> None:
    """NAME.md of each."""
    for name, rows in tables.items():
        write_text(out / f"{name}.md", markdown(rows))


def _interval(estimate: dict, digits: int) -> str:
    return "{value:.{n}f} [{low:.{n}f}, {high:.{n}f}]".format(n=digits, **estimate)


def _call(*arguments: object) -> Took:
    command = [sys.executable, "-m", "temporem", *map(str, arguments)]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        # Not `child.wait`, which does not tell what this child alone used.
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{said.read()}")
    return Took(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6)
