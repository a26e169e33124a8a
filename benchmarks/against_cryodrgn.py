"""Time and quality against cryoDRGN 4.3.1: the same files, the same cores, scored by the same code.

    python benchmarks/against_cryodrgn.py OUT SIMULATION [SIMULATION …] [--epochs N] [--docs FILE]

Each SIMULATION is a folder of `temporem simulate`. cryoDRGN is run as by cryodrgn_peer.py, in OUT/peer, and
of its scored epochs the one with the best moving resolution counts. Our arms are whole commands, from images
to report: `linear` (--method linear), `default`, and `networks` (--generator fourier) with --arms. Times are
of the processor, in all threads. "Sooner" is cryoDRGN's time to its best epoch over the arm's; the arm must
have passed it. What is finished is kept: a second call goes on.
"""

import argparse
from pathlib import Path

import cryodrgn_peer as peer
import page
import torch
from arms import evaluate, gain_over, markdown, reconstruct, row_of, rows_of

ARMS = {"linear": ["--method", "linear"], "default": [], "networks": ["--generator", "fourier"]}
WITH_REFERENCES = "linear"
EVERY = 5
"""Epochs of cryoDRGN after which it is scored."""
FRAMES, REFERENCE_FRAMES = 100, 50


def main() -> None:
    parser = page.parser_of(__doc__)
    parser.add_argument("--epochs", type=int, default=25, help="of cryoDRGN (%(default)s)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=["linear", "default"])
    asked = parser.parse_args()
    if asked.epochs % EVERY:
        parser.error(f"--epochs must be a multiple of {EVERY}, so that the last epoch is scored")
    time_rows, quality = [], []
    for simulation in asked.simulations:
        best = trained_peer(asked.out / "peer", simulation, asked.epochs)
        for arm in asked.arms:
            time_row, rows = measured(asked.out / simulation.name, simulation, arm, best)
            time_rows.append(time_row)
            quality += rows
    tables = f"{markdown(time_rows)}\n{markdown(quality)}"
    page.publish(asked.docs, "Against cryoDRGN 4.3.1", __doc__, tables)


def trained_peer(out: Path, simulation: Path, epochs: int) -> Path:
    """cryoDRGN's folder for these movies: trained, and scored."""
    environment, folder = out / "environment", out / simulation.name
    options = argparse.Namespace(
        epochs=epochs, every=EVERY, frames=FRAMES, frames_per_epoch=20, latent_dim=None, seed=0
    )
    peer.install(environment)
    peer.prepare(environment, simulation, folder)
    with torch.no_grad():
        peer.train(environment, simulation, folder, options)
        peer.score(environment, simulation, folder, options)
    return folder


def measured(folder: Path, simulation: Path, arm: str, best: Path) -> tuple[dict, list[dict]]:
    """An arm against cryoDRGN at its best epoch: a row of times, and rows of quality."""
    folder.mkdir(parents=True, exist_ok=True)
    run = folder / arm
    took = reconstruct(simulation, run, ARMS[arm])
    with_references = arm == WITH_REFERENCES
    references = ["--reference-frames", REFERENCE_FRAMES] if with_references else ["--no-references"]
    summary = evaluate(simulation, run, ["--frames", FRAMES, *references])
    theirs = peer.summary_of(best)
    gain = gain_over(run, best / peer.PEER)
    mask = "moving" if "moving" in summary["masks"] else "whole"
    passed = peer.resolution(summary, mask) <= peer.resolution(theirs, mask)
    epoch, seconds = int(theirs["epoch"]), float(theirs["core_seconds"])
    time_row = {
        "data": simulation.name,
        "arm": arm,
        "cryoDRGN's best epoch": epoch,
        "its processor s": seconds,
        "its frames/s": epoch * peer.images_in(best) / seconds,
        "processor s": took.processor,
        "frames/s": peer.images_in(best) / took.processor,
        "sooner": f"{seconds / took.processor:.0f} ×" if passed else "not reached",
        "peak GB": took.peak_in_gigabytes,
        "frames finer, whole": gain["whole frames"],
        "moving": gain.get("moving frames", ""),
    }
    rows = rows_of(summary, simulation.name, arm, took)
    if with_references:
        rows.insert(0, row_of(simulation.name, "cryoDRGN 4.3.1", theirs["methods"]["run"]))
    return time_row, rows


if __name__ == "__main__":
    main()
