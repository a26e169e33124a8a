"""One density that moves, the default, against averages along the states and against the networks.

    python benchmarks/one_moving_density.py OUT [--arms default linear networks] SIMULATION [SIMULATION …]

Each SIMULATION is a folder of `temporem simulate`. OUT/NAME gets a run of each arm, scored on the same
frames; OUT/figures.md has their figures and those of the references, OUT/gain.md what the default gains over
each other arm, frame by frame, with 95 % intervals over movies. What is there is kept: a second call goes on.
"""

import argparse
from pathlib import Path

from arms import evaluate, gain_over, reconstruct, rows_of, write_tables

FRAMES, REFERENCE_FRAMES = 100, 50
ARMS = {"default": [], "linear": ["--method", "linear"], "networks": ["--generator", "fourier"]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("simulations", type=Path, nargs="+", metavar="SIMULATION")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    asked = parser.parse_args()
    figures, gain = [], []
    for simulation in asked.simulations:
        folder = asked.out / simulation.name
        folder.mkdir(parents=True, exist_ok=True)
        for arm in asked.arms:
            took = reconstruct(simulation, folder / arm, ARMS[arm])
            references = arm == "default"
            extra = ["--reference-frames", REFERENCE_FRAMES] if references else ["--no-references"]
            summary = evaluate(simulation, folder / arm, ["--frames", FRAMES, *extra])
            figures += rows_of(summary, simulation.name, arm, took)
            if arm != "default" and (folder / "default").exists():
                over = gain_over(folder / "default", folder / arm)
                gain.append({"data": simulation.name, "over": arm, **over})
            write_tables(asked.out, figures=figures, gain=gain)


if __name__ == "__main__":
    main()
