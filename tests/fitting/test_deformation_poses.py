"""Poses refined with the motion: the algebra against a dense solution, and poses that are known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import roma
import torch
from blob_movies import SIGMA, Molecule, blob_store, rigid, silent, swinging, write_movies
from torch import Tensor

from temporem.fitting import deformation, linear
from temporem.fitting import reconstruct as reconstructing
from temporem.fitting.deformation import Deformed, fit_deformation
from temporem.fitting.deformation_options import DeformationOptions, Stage
from temporem.fitting.deformation_poses import ToldOfBoth, refined_with_poses, told_of_both
from temporem.fitting.deformation_states import told_of_states
from temporem.fitting.frames import FrameStore
from temporem.fitting.options import FittingOptions, PoseKind
from temporem.fitting.poses.found import Poses
from temporem.fitting.poses.refining import with_mean_of
from temporem.fitting.reconstruct import reconstruct
from temporem.model.deformable_generator import DeformableGenerator, DeformableGeneratorConfig
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions, read_movies
from temporem.physics.rotations import angular_distance
from temporem.physics.shifts import phase_shift
from temporem.reconstruction.run import Run

BOX, LATENT = 20, 2
OPTIONS = DeformationOptions(
    stages=(Stage(24.0, 3), Stage(14.0, 3), Stage(0.0, 2), Stage(0.0, 2)),
    frames_per_batch=12,
    # Its few steps are too few for a slower one.
    density_rate=0.05,
    solves=1,
    poses="refine",
    mass_changes=False,
)


def off(poses: Poses, degrees: float, pixels: float) -> Poses:
    generator = torch.Generator().manual_seed(3)
    turn = torch.deg2rad(torch.tensor(degrees)) * torch.randn(len(poses), 3, generator=generator)
    shift = pixels * torch.randn(len(poses), 2, generator=generator)
    return Poses(roma.rotvec_to_rotmat(turn) @ poses.rotation, poses.translation_in_pixels + shift)


def by_state(poses: Poses, true: Poses, state: Tensor) -> tuple[float, float]:
    """Median errors in degrees and pixels, after what images leave open at each state."""
    freed = with_mean_of(poses, true, state.reshape(-1, 1))
    degrees = torch.rad2deg(angular_distance(freed.rotation, true.rotation)).median()
    shift = (freed.translation_in_pixels - true.translation_in_pixels).norm(dim=-1).median()
    return float(degrees), float(shift)


def random_told(frames: int) -> ToldOfBoth:
    generator = torch.Generator().manual_seed(1)
    design = torch.randn(frames, 12, LATENT + 5, generator=generator, dtype=torch.float64)
    design[:, :, LATENT : LATENT + 3] *= 40
    seen = torch.randn(frames, 12, 1, generator=generator, dtype=torch.float64)
    return ToldOfBoth(design.mT @ design, (design.mT @ seen)[..., 0])


def test_poses_are_integrated_out_as_a_dense_gaussian_is() -> None:
    both = random_told(5)
    covariance = torch.linalg.inv(both.matrix)
    mean = (covariance @ both.vector[..., None])[..., 0]
    z = torch.randn(5, LATENT, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    told = both.of_states(z)
    torch.testing.assert_close(told.matrix, torch.linalg.inv(covariance[:, :LATENT, :LATENT]))
    found = torch.linalg.solve(told.matrix, told.vector)
    torch.testing.assert_close(found, z + mean[:, :LATENT])
    # At the joint mean's state, the pose is the joint mean's.
    torch.testing.assert_close(both.pose_steps(mean[:, :LATENT]), mean[:, LATENT:])


def test_what_is_said_of_states_alone_is_the_same() -> None:
    store = blob_store(swinging(2, 4), BOX, snr=2.0)
    generator = DeformableGenerator(
        DeformableGeneratorConfig(BOX, LATENT, 6.0), torch.Generator().manual_seed(0)
    ).requires_grad_(False)
    generator.place(Molecule(BOX).positions(torch.tensor([0.5]))[0], SIGMA)
    generator.amplitude = torch.ones(len(generator.points))
    z = torch.randn(8, LATENT, generator=torch.Generator().manual_seed(0))
    alone, both = told_of_states(generator, store, z, 7), told_of_both(generator, store, z, 7)
    torch.testing.assert_close(both.matrix[:, :LATENT, :LATENT], alone.matrix)
    vector = alone.vector - (alone.matrix @ z[..., None])[..., 0]
    torch.testing.assert_close(both.vector[:, :LATENT], vector, atol=1e-3, rtol=1e-3)


def test_slopes_are_those_of_the_likelihood() -> None:
    store = blob_store(torch.full((1, 4), 0.3), BOX, snr=5.0)
    generator, z, radius = rigid(BOX, LATENT), torch.zeros(4, LATENT), BOX // 2 - 1
    lattice, count = store.lattice, store.lattice.count_within(radius)
    frames = store.frames(torch.arange(4), count)

    def likelihood(turn: Tensor, shift: Tensor) -> Tensor:
        turned = roma.rotvec_to_rotmat(turn) @ frames.rotation
        slices = generator.slices(z, turned, lattice.frequency[:count])
        slices = slices * phase_shift(lattice.frequency[:count], shift, BOX) * frames.transfer
        residual = (frames.coefficients - slices).abs().square()
        return -0.5 * (residual * lattice.multiplicity[:count]).sum()

    at = torch.zeros(4, 3, requires_grad=True), torch.zeros(4, 2, requires_grad=True)
    slope = torch.cat(torch.autograd.grad(likelihood(*at), at), dim=-1)
    found = told_of_both(generator, store, z, radius).vector[:, LATENT:]
    torch.testing.assert_close(
        found[:, 3:], slope[:, 3:], rtol=1e-2, atol=1e-2 * float(slope[:, 3:].abs().max())
    )
    torch.testing.assert_close(
        found[:, :3], slope[:, :3], rtol=0.1, atol=0.05 * float(slope[:, :3].abs().max())
    )


def test_poses_off_are_stepped_back_under_the_true_molecule() -> None:
    store = blob_store(torch.full((6, 5), 0.5), BOX, snr=200.0)
    true, generator = store.poses, rigid(BOX, LATENT)
    given = off(true, degrees=2.5, pixels=0.4)
    z, poses = torch.zeros(30, LATENT), given
    for _ in range(2):
        at = store.posed(poses)
        _, _, poses = refined_with_poses(generator, at, z, BOX // 2 - 1, torch.full((LATENT,), 5.0))
    before, after = (
        (torch.rad2deg(angular_distance(x.rotation, true.rotation)), x.translation_in_pixels)
        for x in (given, poses)
    )
    assert after[0].median() < 0.35 * before[0].median()
    goal = true.translation_in_pixels
    assert (after[1] - goal).norm(dim=-1).median() < 0.2 * (before[1] - goal).norm(dim=-1).median()


def fit(
    store: FrameStore, state: Tensor, options: DeformationOptions, folder: Path | None = None
) -> Deformed:
    z = (state.reshape(-1, 1) - state.mean()) / state.std()
    volume = Molecule(BOX).volumes(torch.tensor([0.5]))[0]
    power, mask = torch.full((BOX // 2 + 1,), 0.05), torch.ones(BOX, BOX, BOX)
    return fit_deformation(store, z, volume, mask, power, options, 0, folder, silent, lambda _: None)


@pytest.mark.parametrize(("kind", "share"), [("refine", 0.95), ("estimate", 0.85)])
def test_poses_are_refined_with_the_motion_and_else_left(kind: PoseKind, share: float) -> None:
    state = swinging(16, 8)
    store = blob_store(state, BOX, snr=20.0)
    true = store.poses
    given = off(true, degrees=4.0, pixels=0.4)
    kept = fit(store.posed(given), state, DeformationOptions(stages=(Stage(0.0, 1),), solves=0))
    assert torch.equal(kept.poses.rotation, given.rotation)
    assert torch.equal(kept.poses.translation_in_pixels, given.translation_in_pixels)
    refined = fit(store.posed(given), state, replace(OPTIONS, poses=kind))
    assert refined.generator.occupancy_changes(refined.states.mean).abs().max() == 0
    before, after = by_state(given, true, state), by_state(refined.poses, true, state)
    assert after[0] < share * before[0]
    assert after[1] < 0.5 * before[1]


def stop(*arguments: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("stopped_in", ["likeliest_relaxation_time", "_after_stage", "solve_density"])
def test_a_stopped_fit_keeps_the_poses_it_had(
    stopped_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first stage's end, at that of the third, and after the last."""
    state = swinging(4, 6)
    store = blob_store(state, BOX, snr=4.0)
    store = store.posed(off(store.poses, degrees=4.0, pixels=0.4))
    whole = fit(store, state, OPTIONS)
    with monkeypatch.context() as patch:
        done: list[object] = []
        before = getattr(deformation, stopped_in)

        def once(*arguments: Any) -> Any:
            done.append(arguments)
            return before(*arguments) if stopped_in == "_after_stage" and len(done) < 3 else stop()

        patch.setattr(deformation, stopped_in, once)
        with pytest.raises(KeyboardInterrupt):
            fit(store, state, OPTIONS, tmp_path)
    resumed = fit(store, state, OPTIONS, tmp_path)
    assert torch.equal(resumed.poses.rotation, whole.poses.rotation)
    assert torch.equal(resumed.generator.amplitude, whole.generator.amplitude)


def test_a_run_has_the_poses_of_its_motion_and_begins_anew_with_its_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "FIRST_EPOCHS", 2)
    monkeypatch.setattr(
        reconstructing, "settle_poses", lambda movies, *_: (movies, {"kind": "refine", "words": ""})
    )
    star = write_movies(tmp_path / "movies", swinging(4, 6), snr=2.0)
    options = FittingOptions(latent_dim=2, device="cpu", generator="deformable", poses="refine")

    def go(resume: bool) -> tuple[Run, list[bytes]]:
        run = reconstruct(star, tmp_path / "run", ReadingOptions(), PreprocessingOptions(), options, resume)
        parts = (run.poses_path, run.path / "latents.csv", run.model_path / "generator.safetensors")
        return run, [part.read_bytes() for part in parts]

    run, first = go(resume=False)
    told = run.config["poses"]["with_motion"]
    assert told["median_turn_in_degrees"] > 0
    moved = (
        torch.from_numpy(run.movies()[0].rotation)
        @ torch.from_numpy(read_movies(star, ReadingOptions()).rotation).mT
    )
    degrees = torch.rad2deg(roma.rotmat_to_rotvec(moved).norm(dim=-1)).median()
    assert float(degrees) == pytest.approx(told["median_turn_in_degrees"], abs=0.01)
    _, again = go(resume=True)
    assert again == first
