"""Networks that start from the linear answer, against those of the paper, which get five times the time.

    python benchmarks/warm_start.py OUT SIMULATION [SIMULATION …] [--epochs N] [--docs FILE]

Each SIMULATION is a folder of `temporem simulate`. `warm` is tempor as it is (--generator fourier) with so
many epochs; `paper` starts from nothing: a baseline first, from images, then the temporal model
(--pretraining --features image --no-explicit), with as many epochs as fill five times the seconds of the
processor that `warm` took, measured in one short fit of it. "better by" is `warm` over `paper`, frame by
frame, with 95 % intervals over movies. What is finished is kept: a second call goes on.
"""

import json
from pathlib import Path

import page
from arms import Took, evaluate, gain_over, markdown, reconstruct, rows_of

FRAMES, TIMES, SHORT = 100, 5, 2
NETWORKS = ["--generator", "fourier"]
PAPER = [*NETWORKS, "--pretraining", "--features", "image", "--no-explicit"]


def main() -> None:
    parser = page.parser_of(__doc__)
    parser.add_argument("--epochs", type=int, default=8, help="of warm (%(default)s)")
    asked = parser.parse_args()
    figures, gain = [], []
    for simulation in asked.simulations:
        folder = asked.out / simulation.name
        folder.mkdir(parents=True, exist_ok=True)
        warm = reconstruct(simulation, folder / "warm", [*NETWORKS, "--epochs", asked.epochs])
        short = reconstruct(simulation, folder / "paper-short", [*PAPER, "--epochs", SHORT])
        epochs = epochs_within(TIMES * warm.processor, short, folder / "paper-short")
        paper = reconstruct(simulation, folder / "paper", [*PAPER, "--epochs", epochs])
        for name, took in (("warm", warm), ("paper", paper)):
            summary = evaluate(simulation, folder / name, ["--frames", FRAMES, "--no-references"])
            figures += rows_of(summary, simulation.name, name, took)
        over = gain_over(folder / "warm", folder / "paper")
        ratio = {"paper's epochs": epochs, "paper's time": f"{paper.processor / warm.processor:.1f} ×"}
        gain.append({"data": simulation.name, **ratio, **over})
    tables = f"{markdown(figures)}\n{markdown(gain)}"
    page.publish(asked.docs, "Networks: warm start against the paper's", __doc__, tables)


def epochs_within(seconds: float, short: Took, run: Path) -> int:
    """How many epochs, an even number, fill so much of the processor's time, by a short fit's."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    training = sum(record["seconds"] for record in map(json.loads, lines) if "kl" in record)
    # Epochs are timed by the clock: of the processor's time they have as large a part.
    part = training / short.clock
    return 2 * max(1, round((seconds - short.processor * (1 - part)) / (short.processor * part / SHORT) / 2))


if __name__ == "__main__":
    main()
