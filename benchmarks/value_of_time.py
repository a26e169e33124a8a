"""What time is worth: tempor against its own no-time baseline with as many updates, and with shuffled frames.

    python benchmarks/value_of_time.py OUT SIMULATION [SIMULATION …]

Each SIMULATION is a folder of `temporem simulate`. For each, OUT/NAME gets a run with no options, `default`,
and runs of the networks: `tempor`, `cryodrgn`, and for twins `shuffled` (tempor on the same frames, their
order permuted at random in each movie), scored on the same frames. OUT/table.md has their figures and those
of the references, OUT/paired.md what `default` and `tempor` gain over the other arms, frame by frame, with
95 % intervals over movies. What is there is kept: a second call goes on.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from arms import evaluate, gain_over, reconstruct, rows_of, write_tables

from temporem.files import write_text
from temporem.movies.reading import ReadingOptions, read_movies

FRAMES, REFERENCE_FRAMES = 100, 50
BETTER = {"default": (), "tempor": ("default",), "cryodrgn": ("default", "tempor"), "shuffled": ("tempor",)}
"""For each arm, the arms whose gain over it is asked for."""


def main() -> None:
    out, simulations = Path(sys.argv[1]), [Path(x) for x in sys.argv[2:]]
    table, paired = [], []
    for simulation in simulations:
        folder = out / simulation.name
        folder.mkdir(parents=True, exist_ok=True)
        for arm, options in arms_of(simulation, folder).items():
            took = reconstruct(simulation, folder / arm, options)
            references = arm == "default"
            extra = ["--reference-frames", REFERENCE_FRAMES] if references else ["--no-references"]
            summary = evaluate(simulation, folder / arm, ["--frames", FRAMES, *extra])
            table += rows_of(summary, simulation.name, arm, took)
            for better in BETTER[arm]:
                gain = gain_over(folder / better, folder / arm)
                paired.append({"data": simulation.name, "of": better, "over": arm, **gain})
            write_tables(out, table=table, paired=paired)


def arms_of(simulation: Path, folder: Path) -> dict[str, list[object]]:
    """Options of each arm; shuffling is a control only where movies do not all run alike."""
    networks: list[object] = ["--generator", "fourier"]
    # The paper's: half of the updates are the baseline's.
    tempor = [*networks, "--pretraining"]
    arms = {"default": [], "tempor": tempor, "cryodrgn": [*networks, "--method", "cryodrgn"]}
    if json.loads((simulation / "simulation.json").read_text(encoding="utf-8"))["twin"]:
        arms["shuffled"] = [*tempor, "--movie-table", shuffled_table(simulation, folder / "shuffled.csv")]
    return arms


def shuffled_table(simulation: Path, path: Path) -> Path:
    movies = read_movies(simulation / "movies.star", ReadingOptions()).shuffled(seed=0)
    table = {
        "image": range(len(movies)),
        "movie": [movies.movie_ids[index] for index in movies.movie],
        "frame": movies.frame,
    }
    write_text(path, pd.DataFrame(table).to_csv(index=False))
    return path


if __name__ == "__main__":
    main()
