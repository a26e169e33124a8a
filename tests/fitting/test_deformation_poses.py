"""Poses refined with the motion: the algebra against a dense solution, and poses that are known."""

from pathlib import Path

import pytest
import roma
import torch
from blob_movies import SIGMA, Molecule, blob_store, silent, swinging, write_movies
from torch import Tensor

from temporem.fitting import deformation, linear
from temporem.fitting import reconstruct as reconstructing
from temporem.fitting.deformation import DeformationOptions, Deformed, Stage, fit_deformation
from temporem.fitting.deformation_poses import (
    LIKELY_SHIFT,
    LIKELY_TURN,
    ToldOfBoth,
    refined_with_poses,
    told_of_both,
)
from temporem.fitting.deformation_states import told_of_states
from temporem.fitting.frames import FrameStore
from temporem.fitting.options import FittingOptions
from temporem.fitting.poses.found import Poses
from temporem.fitting.poses.refining import with_mean_of
from temporem.fitting.reconstruct import reconstruct
from temporem.model.deformable_generator import DeformableGenerator, DeformableGeneratorConfig
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions, read_movies
from temporem.physics.rotations import angular_distance
from temporem.reconstruction.run import Run

BOX, LATENT = 20, 2
OPTIONS = DeformationOptions(
    stages=(Stage(24.0, 3), Stage(14.0, 3), Stage(0.0, 2), Stage(0.0, 2)),
    frames_per_batch=12,
    solves=1,
    poses="refine",
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


def rigid(state: float) -> DeformableGenerator:
    """The molecule in one state, exactly, and a field that moves nothing."""
    config = DeformableGeneratorConfig(BOX, LATENT, 6.0)
    generator = DeformableGenerator(config, torch.Generator().manual_seed(0))
    generator.place(Molecule(BOX).positions(torch.tensor([state]))[0], SIGMA)
    generator.amplitude = torch.ones(len(generator.points))
    torch.nn.init.zeros_(generator.field.where[-1].weight)  # type: ignore[arg-type]
    return generator.requires_grad_(False)


def random_told(frames: int) -> ToldOfBoth:
    generator = torch.Generator().manual_seed(1)
    design = torch.randn(frames, 12, LATENT + 5, generator=generator, dtype=torch.float64)
    design[:, :, LATENT : LATENT + 3] *= 40
    seen = torch.randn(frames, 12, 1, generator=generator, dtype=torch.float64)
    return ToldOfBoth(design.mT @ design, (design.mT @ seen)[..., 0])


def test_poses_are_integrated_out_as_a_dense_gaussian_is() -> None:
    both = random_told(5)
    prior = torch.tensor([0.0] * LATENT + [LIKELY_TURN**-2] * 3 + [LIKELY_SHIFT**-2] * 2, dtype=torch.float64)
    covariance = torch.linalg.inv(both.matrix + torch.diag(prior))
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


def test_poses_off_are_stepped_back_under_the_true_molecule() -> None:
    store = blob_store(torch.full((6, 5), 0.5), BOX, snr=200.0)
    true, generator = store.poses, rigid(0.5)
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


def test_poses_are_refined_with_the_motion_and_else_left() -> None:
    state = swinging(16, 8)
    store = blob_store(state, BOX, snr=20.0)
    true = store.poses
    given = off(true, degrees=4.0, pixels=0.4)
    kept = fit(store.posed(given), state, DeformationOptions(stages=(Stage(0.0, 1),), solves=0))
    assert torch.equal(kept.poses.rotation, given.rotation)
    assert torch.equal(kept.poses.translation_in_pixels, given.translation_in_pixels)
    refined = fit(store.posed(given), state, OPTIONS)
    before, after = by_state(given, true, state), by_state(refined.poses, true, state)
    assert after[0] < 0.85 * before[0]
    assert after[1] < 0.5 * before[1]


def stop(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_stopped_fit_keeps_the_poses_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = swinging(4, 6)
    store = blob_store(state, BOX, snr=4.0)
    store = store.posed(off(store.poses, degrees=4.0, pixels=0.4))
    whole = fit(store, state, OPTIONS)
    with monkeypatch.context() as patch:
        patch.setattr(deformation, "solve_density", stop)
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
