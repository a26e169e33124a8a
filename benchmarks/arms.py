"""What benchmarks of runs share: arms fitted and scored once, their figures, differences frame by frame.

An arm is a name and the options of `temporem reconstruct` that it stands for. A folder has a run for each,
and beside it the seconds that it took: of the clock, and of the processor in all threads.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from temporem.evaluation.comparison import ComparisonOptions, compare_runs
from temporem.evaluation.evaluation_folder import read_evaluation
from temporem.files import write_json, write_text

MASKS = ("whole", "molecule", "moving")


@dataclass(frozen=True)
class Took:
    """How long a fit was, in seconds."""

    clock: float
    processor: float


def reconstruct(simulation: Path, run: Path, options: Sequence[object]) -> Took:
    """Fit an arm, or go on with it, unless it is there."""
    took = run.with_name(f"{run.name}.seconds.json")
    if not took.exists():
        resume = ["--resume"] if (run / "config.json").exists() else []
        began, before = time.monotonic(), _processor()
        _call("reconstruct", simulation / "movies.star", "-o", run, *options, *resume)
        write_json(took, {"clock": time.monotonic() - began, "processor": _processor() - before})
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
    rows = [_row(data, arm, methods.pop("run")) | {"seconds": took.clock, "processor s": took.processor}]
    if methods:
        rows.append(_row(data, f"{arm}, same frames as references", summary["run_on_reference_frames"]))
    return rows + [_row(data, name, figures) for name, figures in methods.items()]


def _row(data: str, method: str, figures: dict) -> dict:
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


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _call(*arguments: object) -> None:
    command = [sys.executable, "-m", "temporem", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
