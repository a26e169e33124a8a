"""Whether a run invents: of a molecule that stands still, of noise alone, from a wrong start, by halves.

    python benchmarks/invention.py OUT MOVING STILL NOISE [--docs FILE]

Folders of `temporem simulate`: MOVING of a molecule that moves, STILL of one that does not (`… static`),
NOISE of images that show nothing (`--snr 1e-8`). OUT gets a default run of each. Of STILL the table has how
far its density moves, root mean square, and what of its mass comes and goes; of NOISE how the command ends.
MOVING is also fitted from a wrong start, the volumes of its linear answer with their axes exchanged in turn:
another molecule. `over averages` is what movies left out of the fit gain over averages along the states, in
nats a frame; `like the start` and `like the truth` are correlations, before the fit and after it, of the
wrong start and of the truth of one frame with the volume of that frame. Of two halves of its movies, fitted
apart, the table has where their volumes of a frame agree to 0.5, beside what the truth says of the whole run.
What is there is kept: a second call goes on.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import page
import torch
from arms import evaluate, markdown, reconstruct

from temporem.evaluation.fsc import resolution_at
from temporem.evaluation.scoring import by_conformation, evaluate_volumes
from temporem.files import write_json
from temporem.fitting.anchors import Anchored
from temporem.fitting.consensus import find_consensus
from temporem.fitting.deformable import beginning_of, deform
from temporem.fitting.frames import FrameStore
from temporem.fitting.linear import find_states, find_volumes
from temporem.model.anchor_generator import AnchorGenerator
from temporem.movies.preprocessing import PreprocessingOptions, prepare_frames
from temporem.movies.reading import read_movies
from temporem.reconstruction.run import Run
from temporem.simulation.truth import Truth

FRAMES = 60


def main() -> None:
    parser = page.parser_of(__doc__)
    asked = parser.parse_args()
    if len(asked.simulations) != 3:
        parser.error("give the folders MOVING STILL NOISE")
    moving, still, noise = asked.simulations
    asked.out.mkdir(parents=True, exist_ok=True)
    rows = [of_still(still, asked.out / "still"), of_noise(noise, asked.out / "noise")]
    wrong = asked.out / "wrong.json"
    reconstruct(moving, asked.out / "moving", [])
    if not wrong.exists():
        write_json(wrong, of_wrong_start(moving, Run.open(asked.out / "moving")))
    started = [of_right_start(moving, asked.out / "moving"), json.loads(wrong.read_text(encoding="utf-8"))]
    tables = [*([row] for row in rows), started, [of_halves(asked.out / "moving")]]
    text = "\n".join(map(markdown, tables))
    page.publish(asked.docs, "Nothing invented", __doc__, text)


def of_still(simulation: Path, run: Path) -> dict:
    reconstruct(simulation, run, [])
    config = Run.open(run).config
    return {
        "movies": simulation.name,
        "the run says": config["held_out"]["motion"],
        "moves by (Å)": config["found"]["displacement_in_angstroms"],
        "comes and goes": f"{config['found']['appearing_share_of_mass']:.1%}",
    }


def of_noise(simulation: Path, run: Path) -> dict:
    command = [
        sys.executable,
        "-m",
        "temporem",
        "reconstruct",
        str(simulation / "movies.star"),
        "-o",
        str(run),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    last = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-1]
    return {"movies": simulation.name, "exit code": ended.returncode, "the command says": last}


def of_right_start(simulation: Path, run: Path) -> dict:
    summary = evaluate(simulation, run, ["--frames", FRAMES, "--no-references"])["methods"]["run"]
    found = Run.open(run).config["found"]
    resolution = [
        summary[mask]["resolution_in_angstroms"]["mean_over_frames"] for mask in ("whole", "moving")
    ]
    gain = (found["gain_over_averages"], found["standard_error"])
    return row_of(simulation, "its own", resolution, summary["psnr_in_decibels"], gain)


def of_wrong_start(simulation: Path, run: Run) -> dict:
    """The motion of one density, begun with volumes of another molecule."""
    movies = read_movies(simulation / "movies.star")
    store = FrameStore(movies, prepare_frames(movies, PreprocessingOptions()), torch.device("cpu"))
    consensus = find_consensus(store)
    generator = torch.Generator().manual_seed(0)
    states = find_states(store, consensus, run.config["latent_dim"], True, None, False, generator)
    anchored = find_volumes(store, states, consensus, 0)
    other = exchanged(anchored)
    begun = beginning_of(store, states, other, consensus).volume
    found, choice = deform(store, states, other, consensus, 0, lambda record: None)
    truth = Truth.load(simulation)
    frames = torch.linspace(0, len(store) - 1, FRAMES).round().long().tolist()
    frames = by_conformation(frames, truth)
    with torch.no_grad():
        volumes = (found.generator.volumes(found.states.mean[[row]])[0] for row in frames)
        scores = evaluate_volumes(volumes, frames, truth)
        middle = int(found.states.mean.norm(dim=-1).argmin())
        ended = found.generator.volumes(found.states.mean[[middle]])[0]
    true = truth.volume(np.asarray([middle]))[0]
    resolution = [
        float(resolution_at(scores.fsc[mask], truth.box_size, truth.pixel_size_in_angstroms)[0].mean())
        for mask in ("whole", "moving")
    ]
    gain = (0.0, 0.0) if choice is None else (choice.gain, choice.standard_error)
    return row_of(simulation, "wrong", resolution, float(scores.psnr_in_decibels.mean()), gain) | {
        "like the start": f"1 → {likeness(ended, begun):.2f}",
        "like the truth": f"{likeness(begun, true):.2f} → {likeness(ended, true):.2f}",
    }


def likeness(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack((a.flatten(), b.flatten())))[0, 1])


def exchanged(anchored: Anchored) -> Anchored:
    """Its volumes with x, y, z in the place of y, z, x."""
    right = anchored.generator
    wrong = AnchorGenerator.from_description(right.describe(), lambda description: right)
    wrong.load_state_dict(right.state_dict())
    wrong.volumes_at_anchors.copy_(right.volumes_at_anchors.permute(0, 3, 1, 2))
    return replace(anchored, generator=wrong)


def row_of(
    simulation: Path, start: str, resolution: list[float], psnr: float, gain: tuple[float, float]
) -> dict:
    return {
        "movies": simulation.name,
        "start": start,
        "whole / moving (Å)": " / ".join(f"{x:.2f}" for x in resolution),
        "PSNR (dB)": f"{psnr:.1f}",
        "over averages": "{:.1f} ± {:.1f}".format(*gain),
    }


def of_halves(run: Path) -> dict:
    path = run / "halves" / "halves.json"
    if not path.exists():
        subprocess.run([sys.executable, "-m", "temporem", "halves", str(run)], check=True)
    told = json.loads(path.read_text(encoding="utf-8"))["resolution_in_angstroms"]["corrected"]
    summary = json.loads((run / "evaluation" / "evaluation.json").read_text(encoding="utf-8"))
    truth = summary["methods"]["run"]["whole"]["resolution_in_angstroms"]
    name = "mean_over_frames"
    return {"halves": run.name, "agree to (Å)": told[name], "truth (Å)": truth[name]}


if __name__ == "__main__":
    main()
