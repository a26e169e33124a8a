import numpy as np
import pytest
import torch
from blobs import BOX, PIXEL_SIZE, BlobTruth, in_order, slice_at, twin

from temporem.evaluation.posed_frames import PosedFrames
from temporem.evaluation.references import consensus, path_sums, smoothed_reference
from temporem.evaluation.scoring import by_conformation, scorer_of, true_sides
from temporem.movies.preprocessing import PreparedFrames
from temporem.physics.lattice import half_disc
from temporem.physics.rotations import random_rotations
from temporem.physics.shifts import phase_shift
from temporem.reconstruction.backprojection import accumulate, grid_shells, wiener

MOVIES, FRAMES = 50, 7


def observed(truth, noise_sd=1.5):
    generator = torch.Generator().manual_seed(3)
    disc = half_disc(BOX)
    count = len(truth.states)
    rotation = random_rotations(count, generator).float()
    translation = torch.randn(count, 2, generator=generator)
    states = truth.states["state"].to_numpy()
    clean = torch.stack([slice_at(s, a, disc.frequency) for s, a in zip(states, rotation, strict=True)])
    noise = noise_sd * torch.randn(count, len(disc), dtype=torch.complex64, generator=generator)
    prepared = PreparedFrames(
        half_disc=disc,
        pixel_size_in_angstroms=PIXEL_SIZE,
        coefficients=(clean * phase_shift(disc.frequency, translation, BOX) + noise).numpy(),
        noise_variance=np.full(disc.radius + 1, noise_sd**2, dtype=np.float32),
        window_mean_square=1.0,
        scale=np.ones(count, dtype=np.float32),
        offset=np.zeros(count, dtype=np.float32),
        sign=1,
        sign_note="",
        signal_power=np.ones(disc.radius + 1, dtype=np.float32),
        radius_in_angstroms=BOX * PIXEL_SIZE / 2,
    )
    return PosedFrames(prepared, None, rotation, translation)


def references_of(truth):
    frames, scorer = observed(truth), scorer_of(truth)
    state = truth.states["state"].to_numpy()
    power = frames.signal_power(state)
    rows = list(range(0, len(state), 7))
    clock, oracle = (path_sums(x, frames.accumulate) for x in (truth.states["frame"].to_numpy(), state))
    made = {"consensus": consensus(clock, lambda sums: wiener(sums, power), scorer.masks)}
    for name, sums in (("clock", clock), ("oracle", oracle)):
        made[name] = smoothed_reference(sums, lambda sums: wiener(sums, power), truth, scorer, rows)
    rows = by_conformation(rows, truth)
    fsc = {name: [] for name in made}
    for row, true in zip(rows, true_sides(rows, truth, scorer), strict=True):
        for name, reference in made.items():
            fsc[name].append(scorer.fsc(reference.volume(row, "moving"), true, "moving")[1:7].mean().item())
    return made, {name: float(np.mean(x)) for name, x in fsc.items()}


def test_on_movies_that_all_run_alike_the_clock_knows_what_the_oracle_knows():
    made, fsc = references_of(BlobTruth(in_order(MOVIES, FRAMES)))
    assert fsc["oracle"] > fsc["consensus"] + 0.05
    assert fsc["clock"] == pytest.approx(fsc["oracle"], abs=0.01)
    assert made["clock"].width["moving"] < 0.5


def test_on_the_twin_the_clock_fails_and_the_oracle_does_not():
    _, fsc = references_of(BlobTruth(twin(MOVIES, FRAMES)))
    assert fsc["oracle"] > fsc["consensus"] + 0.05
    assert fsc["clock"] < fsc["consensus"] + 0.03


def test_an_infinite_width_is_the_back_projection_of_all_frames():
    truth = BlobTruth(in_order(4, 5))
    frames = observed(truth)
    power = torch.ones(frames.prepared.half_disc.radius + 1)
    sums = path_sums(truth.states["frame"].to_numpy(), frames.accumulate)
    together = wiener(frames.accumulate(np.arange(20)), power)
    made = consensus(sums, lambda x: wiener(x, power), ["whole"])
    for row in (0, 13):
        torch.testing.assert_close(made.volume(row, "whole"), together, atol=1e-4, rtol=1e-3)


def test_weights_fall_off_along_the_path_as_a_gaussian():
    truth = BlobTruth(in_order(4, 5))
    frames = observed(truth)
    sums = path_sums(truth.states["state"].to_numpy(), frames.accumulate)
    weight = np.exp(-((truth.states["state"].to_numpy() - 0.25) ** 2) / (2 * 0.2**2))
    expected = accumulate(
        torch.from_numpy(frames.prepared.coefficients),
        None,
        frames.rotation,
        frames.translation_in_pixels,
        torch.from_numpy(frames.prepared.noise_variance),
        frames.prepared.half_disc,
        torch.from_numpy(weight).float(),
    )
    (got,) = sums.around([(1, 0.2)])
    inside = grid_shells(BOX, 2) <= BOX // 2
    torch.testing.assert_close(got.denominator[inside], expected.denominator[inside], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(got.numerator[inside], expected.numerator[inside], atol=1e-3, rtol=1e-4)


def test_many_different_states_fall_into_even_groups_in_order(monkeypatch):
    monkeypatch.setattr("temporem.evaluation.references.MOST_GROUPS", 4)
    truth = BlobTruth(np.random.default_rng(0).random((4, 5)))
    sums = path_sums(truth.states["state"].to_numpy(), observed(truth).accumulate)
    assert np.bincount(sums.group).tolist() == [5, 5, 5, 5]
    assert (np.diff(sums.group[np.argsort(truth.states["state"])]) >= 0).all()
    assert sums.centre[0] == 0
    assert sums.centre[-1] == 1
