"""What time is worth: tempor against its own no-time baseline with as many updates, and with shuffled frames.

    python benchmarks/value_of_time.py OUT SIMULATION [SIMULATION …]

Each SIMULATION is a folder of `temporem simulate`. For each, OUT/NAME gets runs of the networks:
`tempor`, `cryodrgn`, and for twins `shuffled` (tempor on the same frames, their order permuted at random in
each movie), their evaluations, and lines in OUT/table.md; OUT/paired.md has the mean difference from `tempor`
over equal frames, its 95 % interval by bootstrap over movies, and the part of the frames where `tempor` is
better. Finished runs are kept: a second call goes on.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from temporem.evaluation.comparison import ComparisonOptions, compare_runs
from temporem.evaluation.evaluation_folder import read_evaluation
from temporem.files import write_text
from temporem.movies.reading import ReadingOptions, read_movies

FRAMES, REFERENCE_FRAMES = 100, 50


def main() -> None:
    out, simulations = Path(sys.argv[1]), [Path(x) for x in sys.argv[2:]]
    rows = []
    for simulation in simulations:
        folder = out / simulation.name
        folder.mkdir(parents=True, exist_ok=True)
        twin = json.loads((simulation / "simulation.json").read_text(encoding="utf-8"))["twin"]
        for arm in ("tempor", "cryodrgn", "shuffled") if twin else ("tempor", "cryodrgn"):
            run = folder / arm
            seconds = reconstruct(simulation, run, arm)
            rows += scores(evaluate(simulation, run, arm == "tempor"), simulation.name, arm, seconds)
        table = pd.DataFrame(rows)
        write_text(out / "table.csv", table.to_csv(index=False))
        write_text(out / "table.md", markdown(table))
    write_text(
        out / "paired.md", markdown(pd.DataFrame([x for y in simulations for x in paired(out / y.name)]))
    )


def paired(folder: Path) -> list[dict]:
    """How much worse the other arms are than `tempor`, frame by frame."""
    rows = []
    for arm in ("cryodrgn", "shuffled"):
        if not (folder / arm).exists():
            continue
        both = {"tempor": read_evaluation(folder / "tempor"), arm: read_evaluation(folder / arm)}
        summary = compare_runs(both, ComparisonOptions(against=arm)).summary
        better = summary["improvement"]["tempor"]
        row = {"data": folder.name, "arm": arm, "frames": summary["frames"]}
        for name, gain, parts in (
            *(
                (f"{x} (Å)", better[x]["at_half"]["mean_over_frames"]["angstroms"], better[x]["at_half"])
                for x in ("whole", "moving")
            ),
            ("PSNR (dB)", better["psnr_in_decibels"]["difference"], better["psnr_in_decibels"]),
        ):
            row[f"{name} worse by"] = "{value:.3f} [{low:.3f}, {high:.3f}]".format(**gain)
            row[f"{name} tempor better in"] = f"{100 * parts['fraction_improved']['value']:.0f} %"
        rows.append(row)
    return rows


def markdown(table: pd.DataFrame) -> str:
    cells = [[f"{x:.2f}" if isinstance(x, float) else str(x) for x in row] for row in table.to_numpy()]
    lines = [list(table.columns), ["---"] * len(table.columns), *cells]
    return "".join("| " + " | ".join(line).replace("nan", "") + " |\n" for line in lines)


def reconstruct(simulation: Path, run: Path, arm: str) -> float:
    took = run.with_suffix(".seconds")
    if not took.exists():
        options = ["--generator", "fourier", "--method", "cryodrgn" if arm == "cryodrgn" else "tempor"]
        if (run / "config.json").exists():
            options.append("--resume")
        if arm == "shuffled":
            options += ["--movie-table", str(shuffled_table(simulation, run.with_suffix(".csv")))]
        began = time.monotonic()
        command = ["temporem", "reconstruct", str(simulation / "movies.star"), "-o", str(run), *options]
        subprocess.run(command, check=True, capture_output=True)
        write_text(took, str(time.monotonic() - began))
    return float(took.read_text())


def shuffled_table(simulation: Path, path: Path) -> Path:
    movies = read_movies(simulation / "movies.star", ReadingOptions()).shuffled(seed=0)
    table = {
        "image": range(len(movies)),
        "movie": [movies.movie_ids[index] for index in movies.movie],
        "frame": movies.frame,
    }
    write_text(path, pd.DataFrame(table).to_csv(index=False))
    return path


def evaluate(simulation: Path, run: Path, references: bool) -> dict:
    result = run / "evaluation" / "evaluation.json"
    if not result.exists():
        command = ["temporem", "evaluate", str(run), "--truth", str(simulation), "--frames", str(FRAMES)]
        command += ["--reference-frames", str(REFERENCE_FRAMES)] if references else ["--no-references"]
        subprocess.run(command, check=True, capture_output=True)
    return json.loads(result.read_text(encoding="utf-8"))


def scores(summary: dict, data: str, arm: str, seconds: float) -> list[dict]:
    rows = []
    methods = {arm: summary["methods"]["run"]}
    if len(summary["methods"]) > 1:
        # The references are scored on fewer frames; the run on the same ones stands beside them.
        methods |= {f"{arm}, same frames as references": summary["run_on_reference_frames"]}
        methods |= {name: figures for name, figures in summary["methods"].items() if name != "run"}
    for method, figures in methods.items():
        row = {"data": data, "method": method, "frames": figures["frames"]}
        for mask in ("whole", "molecule", "moving"):
            row[f"{mask} (Å)"] = figures[mask]["resolution_in_angstroms"]["mean_over_frames"]
        row |= {"PSNR (dB)": figures["psnr_in_decibels"], "SSIM": figures["ssim"]}
        row["seconds"] = seconds if method == arm else float("nan")
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
