"""The linear method against what back-projection could do at most, on any number of simulations.

    python benchmarks/linear.py OUT SIMULATION [SIMULATION …] [--docs FILE]

Each SIMULATION is a folder of `temporem simulate`. OUT/NAME/linear gets a run of `temporem reconstruct
--method linear`, scored with its references on 100 frames. `oracle` knows the true states; `over oracle` is
how much coarser the linear method is where the molecule moves, `whole over moving` how much coarser it is as
a whole than there. What is there is kept: a second call goes on.
"""

import json
from pathlib import Path

import page
from arms import evaluate, markdown, reconstruct

FRAMES = 100


def main() -> None:
    asked = page.parser_of(__doc__).parse_args()
    rows = []
    for simulation in asked.simulations:
        folder = asked.out / simulation.name
        folder.mkdir(parents=True, exist_ok=True)
        reconstruct(simulation, folder / "linear", ["--method", "linear"])
        summary = evaluate(simulation, folder / "linear", ["--frames", FRAMES])
        rows.append(row_of(simulation, folder / "linear", summary["methods"]))
        print(rows[-1], flush=True)
    page.publish(asked.docs, "The linear method", __doc__, markdown(rows))


def row_of(simulation: Path, run: Path, methods: dict) -> dict:
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    asked = json.loads((simulation / "simulation.json").read_text(encoding="utf-8"))
    mine, oracle = methods["run"], methods["oracle"]
    whole, moving, best = (
        of[mask]["resolution_in_angstroms"]["mean_over_frames"]
        for of, mask in ((mine, "whole"), (mine, "moving"), (oracle, "moving"))
    )
    row = {
        "data": simulation.name,
        "movies": config["movies"],
        "frames": config["frames"],
        "SNR": asked["snr"],
        "components": config["latent_dim"],
    }
    for name in ("run", "oracle", "clock", "consensus"):
        of = methods[name]
        figures = (of[mask]["resolution_in_angstroms"]["mean_over_frames"] for mask in ("whole", "moving"))
        row[f"{'linear' if name == 'run' else name}, whole / moving (Å)"] = " / ".join(
            f"{x:.2f}" for x in figures
        )
    row |= {"over oracle": f"{100 * (moving / best - 1):.1f} %"}
    row |= {"whole over moving": f"{100 * (whole / moving - 1):.1f} %"}
    for key, digits in (("psnr_in_decibels", 1), ("ssim", 3)):
        row[key.split("_")[0].upper()] = f"{mine[key]:.{digits}f} ({oracle[key]:.{digits}f})"
    return row


if __name__ == "__main__":
    main()
