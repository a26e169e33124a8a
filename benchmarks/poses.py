"""Poses refined, found from nothing, and led by time, against the truth of simulations.

    python benchmarks/poses.py refine   SIMULATION [SIMULATION …] [--degrees 5] [--pixels 2] [--seeds 0 1 2]
    python benchmarks/poses.py estimate SIMULATION [SIMULATION …] [--seeds 0 1 2]
    python benchmarks/poses.py tumbling SIMULATION [SIMULATION …] [--seeds 0]
    python benchmarks/poses.py rough    SIMULATION [SIMULATION …] [--degrees 5] [--pixels 2]
    python benchmarks/poses.py found    SIMULATION --run RUN

Each SIMULATION is a folder of `temporem simulate`. refine: the true poses, turned and moved by Gaussian
errors of this root mean square, are refined. estimate: poses from nothing, in the frame in which the
molecule moves least. tumbling: the same with and without rotational diffusion between frames. rough: the
poses that refine starts from are written into SIMULATION/rough.star. found: the poses of a run, and the true
ones as they would be in the frame in which the true atoms move least. Each line gives the median error and
the 90th percentile, of rotations in degrees and of shifts in pixels, after one rotation, shift and hand for
all frames (estimate, tumbling, found) or none (refine); "by state" lets that rotation vary with the true
state, for the images of a molecule that moves do not fix it; and processor seconds. --movies takes the first
so many movies only.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import roma
import starfile
import torch

from temporem.evaluation.alignment import pose_errors
from temporem.fitting.frames import FrameStore
from temporem.fitting.poses.estimating import estimate_poses
from temporem.fitting.poses.found import Poses
from temporem.fitting.poses.refining import refine_poses, with_mean_of
from temporem.fitting.poses.rest_frame import at_rest
from temporem.fitting.poses.settling import without_poses
from temporem.movies.preprocessing import PreprocessingOptions, prepare_frames, translation_in_pixels
from temporem.movies.reading import read_movies, require_poses
from temporem.physics.pose_alignment import align_poses
from temporem.physics.rotations import relion_angles_from_matrix
from temporem.reconstruction.run import Run
from temporem.simulation.truth import Truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("refine", "estimate", "tumbling", "rough", "found"))
    parser.add_argument("simulations", nargs="+", type=Path, metavar="SIMULATION")
    parser.add_argument("--degrees", type=float, default=5.0)
    parser.add_argument("--pixels", type=float, default=2.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--movies", type=int)
    parser.add_argument("--run", type=Path)
    asked = parser.parse_args()
    if asked.what == "found" and (asked.run is None or asked.movies or len(asked.simulations) > 1):
        parser.error("found takes one SIMULATION, whole, and --run RUN")
    for simulation in asked.simulations:
        store, true, state = opened(simulation, None if asked.what == "rough" else asked.movies)
        print(f"{simulation.name}: {len(store)} frames", flush=True)
        if asked.what == "rough":
            write_rough(simulation, perturbed(true, asked.degrees, asked.pixels, 0))
            continue
        if asked.what == "found":
            truth = Truth.load(simulation)
            found = poses_of(Run.open(asked.run), truth.pixel_size_in_angstroms)
            report("found", found, true, state, aligned=True)
            still = at_rest_in_truth(true, truth)
            report("true, atoms at rest", still, true, state, aligned=True)
            continue
        for seed in asked.seeds:
            generator = torch.Generator().manual_seed(seed)
            if asked.what == "refine":
                given = perturbed(true, asked.degrees, asked.pixels, seed)
                report(f"seed {seed}, given", given, true, state, aligned=False)
                began = time.process_time()
                found = refine_poses(store, given, generator)
                report(f"seed {seed}, refined", found, true, state, aligned=False, began=began)
            for tumbles in {"refine": (), "estimate": (True,), "tumbling": (False, True)}[asked.what]:
                began = time.process_time()
                estimated = estimate_poses(store, torch.Generator().manual_seed(seed), tumbles)
                name = f"seed {seed}" + ("" if tumbles else ", frames independent")
                report(name, estimated.poses, true, state, aligned=True, began=began)
                if asked.what == "estimate":
                    began = time.process_time()
                    rest = at_rest(store, estimated.poses, torch.Generator().manual_seed(seed))
                    report(f"{name}, at rest", rest, true, state, aligned=True, began=began)
                for key in ("words", "tumbling", "warning"):
                    print(f"    {estimated.facts.get(key, '')}")


def opened(simulation: Path, movies: int | None) -> tuple[FrameStore, Poses, torch.Tensor]:
    """Frames whose poses are left aside, their true poses, and their true states."""
    given = require_poses(read_movies(simulation / "movies.star"))
    prepared = prepare_frames(given, PreprocessingOptions())
    store = FrameStore(without_poses(given), prepared, torch.device("cpu"))
    rotation = torch.from_numpy(np.array(given.rotation, dtype=np.float32))
    true = Poses(rotation, torch.from_numpy(translation_in_pixels(given, prepared)))
    state = torch.from_numpy(Truth.load(simulation).states["state"].to_numpy(np.float32))
    if movies is None:
        return store, true, state
    rows = torch.from_numpy(np.sort(np.concatenate(store.movie_rows[:movies])))
    return store.only(range(movies)), true[rows], state[rows]


def perturbed(true: Poses, degrees: float, pixels: float, seed: int) -> Poses:
    generator = torch.Generator().manual_seed(seed)
    turn = torch.randn(len(true), 3, generator=generator) * math.radians(degrees) / math.sqrt(3)
    shift = torch.randn(len(true), 2, generator=generator) * pixels / math.sqrt(2)
    return Poses(roma.rotvec_to_rotmat(turn) @ true.rotation, true.translation_in_pixels + shift)


def write_rough(simulation: Path, poses: Poses) -> None:
    """The simulation's STAR file, at other poses."""
    blocks = starfile.read(simulation / "movies.star", always_dict=True)
    particles = blocks["particles"]
    angles = torch.rad2deg(relion_angles_from_matrix(poses.rotation.double())).numpy()
    particles[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]] = angles
    pixel_size = float(blocks["optics"]["rlnImagePixelSize"].iloc[0])
    particles[["rlnOriginXAngst", "rlnOriginYAngst"]] = -poses.translation_in_pixels.numpy() * pixel_size
    starfile.write(blocks, simulation / "rough.star", overwrite=True)


def poses_of(run: Run, pixel_size_in_angstroms: float) -> Poses:
    """Those that a run ended with."""
    movies, _ = run.movies()
    rotation = torch.from_numpy(np.array(movies.rotation, dtype=np.float32))
    shift = np.asarray(movies.translation_in_angstroms, dtype=np.float32) / pixel_size_in_angstroms
    return Poses(rotation, torch.from_numpy(shift))


def at_rest_in_truth(true: Poses, truth: Truth) -> Poses:
    """The true poses, every conformation's atoms lying on their mean over all frames as near as they can."""
    atoms = torch.from_numpy(np.array(truth.positions)).double()
    centre = atoms.mean(1)
    lying, shown = atoms - centre[:, None], torch.from_numpy(np.array(truth.conformation)).long()
    share = torch.bincount(shown, minlength=len(atoms)) / len(shown)
    turned = torch.eye(3, dtype=torch.float64).expand(len(atoms), 3, 3)
    for _ in range(10):
        mean = (share[:, None, None] * lying).sum(0).expand_as(lying)
        turn, _ = roma.rigid_points_registration(lying, mean)
        lying, turned = torch.einsum("cij,caj->cai", turn, lying), turn @ turned
    rotation = true.rotation.double()
    moved = torch.einsum("fij,fj->fi", rotation, centre[shown])[:, :2] / truth.pixel_size_in_angstroms
    return Poses(rotation @ turned[shown].mT, true.translation_in_pixels + moved)


def report(
    name: str, poses: Poses, true: Poses, state: torch.Tensor, aligned: bool, began: float | None = None
) -> None:
    own = (poses.rotation.double(), poses.translation_in_pixels.double())
    goal = (true.rotation.double(), true.translation_in_pixels.double())
    hand = ""
    if aligned:
        alignment = align_poses(goal, own)
        goal, hand = alignment.poses(*goal), ", other hand" if alignment.mirrored else ""
    freed = with_mean_of(Poses(*own), Poses(*goal), state[:, None].double())
    seconds = "" if began is None else f", {time.process_time() - began:.0f} s"
    print(
        f"  {name}: {words(pose_errors(goal, own))};"
        f" by state {words(pose_errors(goal, (freed.rotation, freed.translation_in_pixels)))}{hand}{seconds}",
        flush=True,
    )


def words(errors: dict[str, float]) -> str:
    # `pose_errors` was given pixels.
    return (
        f"{errors['median_rotation_in_degrees']:.2f}° ({errors['percentile_90_rotation_in_degrees']:.2f}°),"
        f" {errors['median_shift_in_angstroms']:.2f} px ({errors['percentile_90_shift_in_angstroms']:.2f} px)"
    )


if __name__ == "__main__":
    main()
