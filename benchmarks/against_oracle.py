"""A method against what back-projection could do at most, on any number of simulations.

    python benchmarks/against_oracle.py OUT SIMULATION [SIMULATION …] [--method METHOD] [--docs FILE]
        [--pooled NAME …]

Each SIMULATION is a folder of `temporem simulate`. OUT/NAME/METHOD gets a run of `temporem reconstruct`, as
it is by default or with --method linear, scored with its references on 100 frames. `oracle` knows the true
states; `over oracle` is how much coarser the method is where the molecule moves, `whole over moving` how much
coarser it is as a whole than there; PSNR and SSIM have `oracle`'s in brackets; `clock` averages frames of
equal index, `consensus` all. `nats over averages` are those by which the moving density foretells movies left
out better than averages along the states; in brackets where these won, and stayed. `state` is the median
error of the true state by a monotone map of one direction. `pooled`, asked for by name, has as many frames of
one state as the data have in all (five states); `of the way` is where the method stands from `pooled` (0) to
`oracle` (1) where the molecule moves. What is there is kept: a second call goes on.
"""

import json
from pathlib import Path

import page
from arms import evaluate, markdown, reconstruct

FRAMES = 100
METHODS = {
    "linear": ("The linear method", ["--method", "linear"]),
    "default": ("One moving density", []),
}


def main() -> None:
    parser = page.parser_of(__doc__)
    parser.add_argument("--method", choices=METHODS, default="default")
    parser.add_argument("--pooled", nargs="+", default=[], metavar="NAME", help="simulations to score it on")
    asked = parser.parse_args()
    heading, options = METHODS[asked.method]
    unknown = set(asked.pooled) - {simulation.name for simulation in asked.simulations}
    if unknown:
        parser.error(f"--pooled names no simulation given: {', '.join(sorted(unknown))}")
    rows = []
    for simulation in asked.simulations:
        run = asked.out / simulation.name / asked.method
        run.parent.mkdir(parents=True, exist_ok=True)
        took = reconstruct(simulation, run, options)
        pooled = ["--pooled"] if simulation.name in asked.pooled else []
        summary = evaluate(simulation, run, ["--frames", FRAMES, "--reference-frames", FRAMES, *pooled])
        if pooled and "pooled" not in summary["methods"]:
            parser.error(f"{run} was scored without `pooled`: delete its folder evaluation")
        rows.append(row_of(simulation, run, summary) | {"processor s": f"{took.processor:.0f}"})
        print(rows[-1], flush=True)
    page.publish(asked.docs, heading, __doc__, markdown(rows))


def row_of(simulation: Path, run: Path, summary: dict) -> dict:
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    asked = json.loads((simulation / "simulation.json").read_text(encoding="utf-8"))
    methods = summary["methods"]
    mine, oracle = methods["run"], methods["oracle"]
    row = {
        "data": simulation.name,
        "movies": config["movies"],
        "frames": config["frames"],
        "SNR": asked["snr"],
        "components": config["latent_dim"],
    }
    names = {"run": "whole / moving (Å)", "oracle": "oracle", "clock": "clock", "consensus": "consensus"}
    for name, title in names.items():
        row[title] = " / ".join(f"{x:.2f}" for x in figures(methods[name]))
    (whole, moving), (_, best) = figures(mine), figures(oracle)
    row |= {"over oracle": percent(moving / best - 1), "whole over moving": percent(whole / moving - 1)}
    if "pooled" in methods:
        pooled = figures(methods["pooled"])
        row["pooled"] = " / ".join(f"{x:.2f}" for x in pooled)
        # At Nyquist there is no way to go.
        row["of the way"] = f"{(moving - pooled[1]) / (best - pooled[1]):.2f}" if best > pooled[1] else ""
    for key, digits in (("psnr_in_decibels", 1), ("ssim", 3)):
        row[key.split("_")[0].upper()] = f"{mine[key]:.{digits}f} ({oracle[key]:.{digits}f})"
    refused = config["found"].get("deformable")
    told = refused or config["found"]
    if "gain_over_averages" in told:
        gain = f"{told['gain_over_averages']:.1f} ± {told['standard_error']:.1f}"
        row["nats over averages"] = f"({gain})" if refused else gain
    agreement = summary["latent_agreement"]
    if agreement is not None and "median_error" in agreement:
        row["state"] = f"{agreement['median_error']:.2g} {summary['value_unit']}"
    return row


def figures(method: dict) -> tuple[float, float]:
    """Resolution in Å, whole and where the molecule moves."""
    whole, moving = (
        method[mask]["resolution_in_angstroms"]["mean_over_frames"] for mask in ("whole", "moving")
    )
    return whole, moving


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    main()
