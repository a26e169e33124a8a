"""Whether a run invents: of a molecule that stands still, of noise alone, from a wrong start, by halves.

    python benchmarks/invention.py OUT MOVING STILL NOISE [--docs FILE]

Folders of `temporem simulate`: MOVING of a molecule that moves, STILL of one that does not (`… static`),
NOISE of images that show nothing (`--snr 1e-8`). OUT gets a default run of each. Of STILL the table has how
far its density moves, root mean square, and what of its mass comes and goes; of NOISE how the command ends.
MOVING is also fitted from a wrong start: volumes of its linear answer turned by 120°, so that nothing of them
lies where the poses want it. `over averages` is what movies left out of the fit gain over averages along the
states, in nats a frame. Of the frame nearest the middle of the states the table has correlations: `like the
start`, of its volume after the fit with the wrong start; `like the truth`, of that start and of that volume
with the frame's true volume. Of two halves of the movies, fitted apart, it has where their volumes of a frame
agree to 0.5, beside what the truth says of the whole run. What is there is kept: a second call goes on.
"""

import json
import subprocess
import sys
from collections.abc import Callable
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
from temporem.fitting.stages import stage_seed
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
    reconstruct(moving, asked.out / "moving", [])
    refused = kept(asked.out / "noise.json", lambda: of_noise(noise, asked.out / "noise"))
    wrong = kept(asked.out / "wrong.json", lambda: of_wrong_start(moving, Run.open(asked.out / "moving")))
    rows = [of_still(still, asked.out / "still"), refused]
    started = [of_right_start(moving, asked.out / "moving"), wrong]
    tables = [*([row] for row in rows), started, [of_halves(moving, asked.out / "moving")]]
    text = "\n".join(map(markdown, tables))
    page.publish(asked.docs, "Nothing invented", __doc__, text)


def kept(path: Path, make: Callable[[], dict]) -> dict:
    """A row of the table, made once."""
    if not path.exists():
        write_json(path, make())
    return json.loads(path.read_text(encoding="utf-8"))


def of_still(simulation: Path, run: Path) -> dict:
    reconstruct(simulation, run, [])
    moved = motion_of(Run.open(run))
    return {
        "movies": simulation.name,
        "the run says": Run.open(run).config["held_out"].get("motion", ""),
        "answer of": Run.open(run).config["answer_of"],
        "moves by (Å)": moved["displacement_in_angstroms"],
        "comes and goes": f"{moved['appearing_share_of_mass']:.1%}",
    }


def motion_of(run: Run) -> dict:
    """What the moving density's fit found, whether it became the answer or not."""
    found = run.config["found"]
    return found.get("deformable", found)


def of_noise(simulation: Path, run: Path) -> dict:
    words = ["reconstruct", str(simulation / "movies.star"), "-o", str(run)]
    command = [sys.executable, "-m", "temporem", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
    return {"movies": simulation.name, "exit code": ended.returncode, "the command says": "".join(said[-1:])}


def of_right_start(simulation: Path, run: Path) -> dict:
    summary = evaluate(simulation, run, ["--frames", FRAMES, "--no-references"])["methods"]["run"]
    found = motion_of(Run.open(run))
    resolution = [
        summary[mask]["resolution_in_angstroms"]["mean_over_frames"] for mask in ("whole", "moving")
    ]
    gain = (found["gain_over_averages"], found["standard_error"]) if "gain_over_averages" in found else None
    return row_of(simulation, "its own", resolution, summary["psnr_in_decibels"], gain)


def of_wrong_start(simulation: Path, run: Run) -> dict:
    """The motion of one density, begun with volumes that are wrong."""
    movies = read_movies(simulation / "movies.star")
    store = FrameStore(movies, prepare_frames(movies, PreprocessingOptions()), torch.device("cpu"))
    consensus = find_consensus(store)
    seed = int(run.configured("fitting")["seed"])
    generator = torch.Generator().manual_seed(stage_seed(seed, "linear"))
    states = find_states(store, consensus, run.config["latent_dim"], True, None, True, generator)
    other = turned(find_volumes(store, states, consensus, seed))
    begun = beginning_of(store, states, other, consensus).volume
    found, choice = deform(
        store, states, other, consensus, stage_seed(seed, "deformable"), lambda record: None
    )
    truth = Truth.load(simulation)
    frames = torch.linspace(0, len(store) - 1, FRAMES).round().long().tolist()
    frames = by_conformation(frames, truth)
    with torch.no_grad():
        volumes = (found.generator.volumes(found.states.mean[[row]])[0] * consensus.mask for row in frames)
        scores = evaluate_volumes(volumes, frames, truth)
        middle = int(found.states.mean.norm(dim=-1).argmin())
        ended = found.generator.volumes(found.states.mean[[middle]])[0] * consensus.mask
    true = truth.volume(np.asarray([middle]))[0]
    resolution = [
        float(resolution_at(scores.fsc[mask], truth.box_size, truth.pixel_size_in_angstroms)[0].mean())
        for mask in ("whole", "moving")
    ]
    gain = None if choice is None else (choice.gain, choice.standard_error)
    return row_of(simulation, "wrong", resolution, float(scores.psnr_in_decibels.mean()), gain) | {
        "like the start": f"{likeness(ended, begun):.2f}",
        "like the truth": f"{likeness(begun, true):.2f} → {likeness(ended, true):.2f}",
    }


def likeness(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack((a.flatten(), b.flatten())))[0, 1])


def turned(anchored: Anchored) -> Anchored:
    """Its volumes turned by 120° about (1, 1, 1): what was along x is along z."""
    right = anchored.generator
    wrong = AnchorGenerator.from_description(right.describe(), lambda description: right)
    wrong.load_state_dict(right.state_dict())
    wrong.volumes_at_anchors.copy_(right.volumes_at_anchors.permute(0, 3, 1, 2))
    return replace(anchored, generator=wrong)


def row_of(
    simulation: Path, start: str, resolution: list[float], psnr: float, gain: tuple[float, float] | None
) -> dict:
    return {
        "movies": simulation.name,
        "start": start,
        "whole / moving (Å)": " / ".join(f"{x:.2f}" for x in resolution),
        "PSNR (dB)": f"{psnr:.1f}",
        "over averages": "" if gain is None else "{:.1f} ± {:.1f}".format(*gain),
    }


def of_halves(simulation: Path, run: Path) -> dict:
    path = run / "halves" / "halves.json"
    if not path.exists():
        subprocess.run([sys.executable, "-m", "temporem", "halves", str(run)], check=True)
    told = json.loads(path.read_text(encoding="utf-8"))["resolution_in_angstroms"]["corrected"]
    summary = json.loads((run / "evaluation" / "evaluation.json").read_text(encoding="utf-8"))
    truth = summary["methods"]["run"]["whole"]["resolution_in_angstroms"]
    name = "mean_over_frames"
    return {"halves of": simulation.name, "agree to (Å)": told[name], "truth (Å)": truth[name]}


if __name__ == "__main__":
    main()
