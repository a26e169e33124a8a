"""Poses inferred: the bound against that of known poses, and what is learned from tries and dreams."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from blob_movies import Molecule, store_of

from temporem.fitting.frames import FrameStore
from temporem.fitting.objective import elbo, elbo_with_poses
from temporem.fitting.options import FittingOptions
from temporem.fitting.pose_network import dreaming, exploring
from temporem.fitting.pose_network.dreaming import dream
from temporem.fitting.pose_network.exploring import best_tries, explore, state_grid
from temporem.fitting.pose_network.settling import settle
from temporem.fitting.pose_network.starting import nothing_known, teach_poses
from temporem.fitting.warm_start import assemble
from temporem.model.anchor_generator import AnchorGenerator
from temporem.model.batches import FrameBatch
from temporem.model.fourier_generator import FourierGenerator, FourierGeneratorConfig
from temporem.model.gaussian import DiagonalGaussian
from temporem.model.methods import DynamicalModel
from temporem.model.pose_estimator import PoseCandidates, PoseSample
from temporem.physics.lattice import HalfDisc
from temporem.physics.rotation_density import turned
from temporem.physics.rotations import random_rotations

BOX, COUNT = 16, 12
OPTIONS = FittingOptions(method="hetem", latent_dim=1, width=16, layers=1).without_poses()
STATE = torch.full((1,), 0.4)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def posed_store(snr: float = 20.0, count: int = COUNT) -> tuple[FrameStore, torch.Tensor, torch.Tensor]:
    """Frames of one state at rotations and shifts that are returned."""
    rotation = random_rotations(count, seeded(1))
    shift = 0.7 * torch.randn(count, 2, generator=seeded(2))
    clean = Molecule(BOX).images(STATE.expand(count), rotation, shift)
    sd = float(clean.std()) / math.sqrt(snr)
    images = clean + sd * torch.randn(clean.shape, generator=seeded(3))
    movie = np.arange(count) // 3
    return store_of(images, rotation, movie, np.arange(count) % 3 * 1.0, sd**2, shift), rotation, shift


def true_model(store: FrameStore) -> DynamicalModel:
    """The molecule itself for a generator, and pose heads that know nothing."""
    generator = AnchorGenerator(BOX, 1, 1)
    generator.fill(Molecule(BOX).volumes(STATE)[0])
    return assemble(store, OPTIONS, False, generator)


def candidates_at(rotation: torch.Tensor, shift: torch.Tensor, sd: float) -> PoseCandidates:
    """(frames, 3): two wrong ones, and last the poses given, of this sd in radians and pixels."""
    wrong = random_rotations(2 * len(rotation), seeded(9)).reshape(-1, 2, 3, 3)
    spread = torch.full((len(rotation), 3, 3), math.log(sd))
    means = torch.cat((torch.zeros(len(rotation), 2, 2), shift[:, None]), dim=1)
    log_variance = torch.full_like(means, 2 * math.log(sd))
    return PoseCandidates(
        torch.cat((wrong, rotation[:, None]), dim=1), spread, DiagonalGaussian(means, log_variance)
    )


def knowing(candidates: PoseCandidates) -> Callable[[FrameBatch, HalfDisc], PoseCandidates]:
    return lambda frames, lattice: candidates


def test_poses_inferred_for_sure_are_poses_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The likelihood of frames as they are, at a pose, is that of frames centred and turned by it."""
    posed, rotation, shift = posed_store()
    model, store = true_model(posed), posed.unposed()
    monkeypatch.setattr(model, "pose_candidates", knowing(candidates_at(rotation, shift, 1e-6)))
    (batch,) = posed.epoch(1000)
    noise = torch.zeros((*batch.mask.shape, 1))
    chosen = torch.arange(0, len(posed.lattice), 2)
    pose_noise = torch.randn(COUNT, 5, generator=seeded())
    with torch.no_grad():
        known = elbo(model, posed.frames(batch.rows), batch, posed.lattice, chosen, noise)
        found = elbo_with_poses(
            model,
            store.frames(batch.rows),
            batch,
            store.lattice,
            len(posed.lattice),
            chosen,
            noise,
            pose_noise,
        )
    assert float(found.log_likelihood) == pytest.approx(float(known.log_likelihood), rel=1e-3)


def test_the_bound_counts_the_divergence_of_poses_and_of_states(monkeypatch: pytest.MonkeyPatch) -> None:
    posed, rotation, shift = posed_store()
    model, store = true_model(posed), posed.unposed()
    poses = candidates_at(rotation, shift, 0.05)
    monkeypatch.setattr(model, "pose_candidates", knowing(poses))
    (batch,) = store.epoch(1000)
    noise, pose_noise = torch.randn((*batch.mask.shape, 1)), torch.randn(COUNT, 5, generator=seeded())
    chosen = torch.arange(len(store.lattice))
    with torch.no_grad():
        of_states = elbo(model, posed.frames(batch.rows), batch, posed.lattice, chosen, noise).divergence
        right = poses.chosen(torch.full((COUNT,), 2)).sample(pose_noise, model.shift_prior())
        found = elbo_with_poses(
            model, store.frames(batch.rows), batch, store.lattice, len(chosen), chosen, noise, pose_noise
        )
    # States see frames as they are in one and centred in the other: they start at the same posterior.
    assert float(found.divergence) == pytest.approx(float(of_states + right.divergence.sum()), rel=0.02)


def test_slices_change_with_the_rotation_as_their_gradient_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("temporem.model.fourier_generator.has_bfloat16", lambda device: False)
    lattice = posed_store()[0].lattice
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = FourierGenerator(FourierGeneratorConfig(BOX, 1, 16, 1), seeded()).double()
    rotation, z = random_rotations(3, seeded(4)).double(), torch.zeros(3, 1, dtype=torch.float64)
    frequency = lattice.frequency.double()

    def told(turn: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return generator.slices(z, turned(rotation, turn), frequency).real

    turn = 0.05 * torch.randn(3, 3, generator=seeded(6), dtype=torch.float64)
    for axis in torch.eye(3, dtype=torch.float64):
        along = axis.expand(3, 3).contiguous()
        _, change = torch.autograd.functional.jvp(told, turn, along)
        with torch.no_grad():
            difference = (told(turn + 1e-4 * along) - told(turn - 1e-4 * along)) / 2e-4
        # But where a unit's kink, or the border of the half-space evaluated, lies in between.
        agree = (change - difference).abs() < 0.01 * (difference.abs() + difference.std())
        assert float(agree.float().mean()) > 0.97


def test_tries_find_the_poses_against_the_right_volume() -> None:
    """What they leave of an image, above its noise, is a tenth of what a random rotation leaves."""
    posed, rotation, shift = posed_store(count=40)
    model, store = true_model(posed), posed.unposed()
    rows, count = torch.arange(40), store.lattice.count_within(4)
    frames, grid = store.frames(rows), state_grid(model, torch.zeros(1, 1))
    scored = torch.arange(count)
    with torch.no_grad():
        candidates = model.pose_candidates(frames, store.lattice)
    found = best_tries(candidates, frames, grid, store.lattice, scored, 1.0, seeded())

    def residual(poses: PoseSample) -> torch.Tensor:
        images = Molecule(BOX).images(STATE.expand(40), poses.rotation, poses.translation_in_pixels)
        left = frames.coefficients - frames.transfer * store.lattice.from_images(images)
        return (left.abs().square() * store.lattice.multiplicity)[:, :count].sum(-1)

    at_truth = residual(PoseSample(rotation, shift, torch.zeros(40)))
    drawn = residual(PoseSample(random_rotations(40, seeded(5)), shift, torch.zeros(40)))
    left = (residual(found) - at_truth) / (drawn - at_truth).mean()
    assert float(left.median()) < 0.1


def test_exploring_tells_the_right_volume_from_none() -> None:
    posed, _, _ = posed_store()
    model, store = true_model(posed), posed.unposed()
    frames, count = store.frames(torch.arange(COUNT)), store.lattice.count_within(4)
    grid, chosen = state_grid(model, torch.zeros(1, 1)), torch.arange(count)
    found = explore(model, frames, grid, store.lattice, count, chosen, seeded())
    blind = explore(model, frames, 0 * grid, store.lattice, count, chosen, seeded())
    assert float(found.bound.log_likelihood) > float(blind.bound.log_likelihood)
    assert float(found.bound.divergence) == 0
    assert found.surprise.requires_grad


def test_dreams_are_frames_of_the_volume_at_the_poses_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of them after the image at the pose is white noise of the sd given."""
    posed, _, _ = posed_store()
    model = true_model(posed)
    transfer = 0.5 + torch.rand(400, len(posed.lattice), generator=seeded(4))
    grid = state_grid(model, torch.zeros(1, 1))
    asked: list[tuple[torch.Tensor, torch.Tensor]] = []
    shown: list[FrameBatch] = []
    mixture, look = dreaming.log_mixture, model.pose_candidates

    def asking(poses: PoseCandidates, rotation: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        asked.append((rotation, shift))
        return mixture(poses, rotation, shift)

    def showing(frames: FrameBatch, lattice: HalfDisc) -> PoseCandidates:
        shown.append(frames)
        return look(frames, lattice)

    monkeypatch.setattr(dreaming, "log_mixture", asking)
    monkeypatch.setattr(model, "pose_candidates", showing)
    loss = dream(model, grid, transfer, posed.lattice, 0.8, seeded())
    assert loss.requires_grad
    (rotation, shift), frames = asked[0], shown[0]
    images = Molecule(BOX).images(STATE.expand(400), rotation, shift)
    left = frames.coefficients - transfer * posed.lattice.from_images(images)
    power = left[:, 1:].abs().square().mean()
    assert float(power) == pytest.approx(0.64, rel=0.05)
    assert float(left[:, 0].imag.abs().max()) < 1e-4
    assert float(shift.std()) == pytest.approx(1, abs=0.1)


def test_of_its_candidates_each_frame_settles_on_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    posed, rotation, shift = posed_store()
    model = true_model(posed)
    monkeypatch.setattr(model, "pose_candidates", knowing(candidates_at(rotation, shift, 0.02)))
    found = settle(model, posed.unposed(), torch.zeros(COUNT, 1))
    assert torch.equal(found.rotation, rotation)
    assert torch.equal(found.translation_in_pixels, shift)
    torch.testing.assert_close(found.rotation_sd, torch.full((COUNT, 3), 0.02))
    torch.testing.assert_close(found.shift_sd_in_pixels, torch.full((COUNT, 2), 0.02))


def test_the_heads_learn_poses_that_were_found_before() -> None:
    posed, rotation, shift = posed_store()
    model, store = true_model(posed), posed.unposed()
    losses: list[str] = []
    teach_poses(model, store, rotation, shift, seeded(), lambda count, note: losses.append(note))
    with torch.no_grad():
        found = model.pose_candidates(store.frames(torch.arange(COUNT)), store.lattice)
        density = exploring.log_mixture(found, rotation, shift)
        elsewhere = exploring.log_mixture(found, rotation.roll(1, 0), shift)
    assert float(density.mean()) > float(elsewhere.mean()) + 1
    assert len(losses) > 1


def test_the_power_of_a_volume_is_found_without_its_poses() -> None:
    """Against the mean power of the molecule's own transform in each shell, as random views see it."""
    posed, _, _ = posed_store(count=200)
    found = nothing_known(posed.unposed()).signal_power
    images = Molecule(BOX).images(STATE.expand(2000), random_rotations(2000, seeded(8)), torch.zeros(2000, 2))
    power = posed.lattice.from_images(images).abs().square().mean(0)
    shells = torch.zeros(9).index_add_(0, posed.lattice.shell, power) / torch.bincount(posed.lattice.shell)
    torch.testing.assert_close(found[:4], shells[:4], rtol=0.15, atol=0)
