"""Frames foretold by any generator: scores against sums written out; nothing known is scored."""

import math

import pytest
import torch
from blob_movies import Molecule, blob_store, silent

from temporem.fitting.anchors import fit_anchors
from temporem.fitting.consensus import find_consensus
from temporem.fitting.frames import FrameStore
from temporem.fitting.held_out.frames import (
    foretell_coefficients,
    score_volumes,
    still_slices,
)
from temporem.fitting.held_out.leaving_out import leave_each_out
from temporem.fitting.held_out.subspace import fit_folds
from temporem.fitting.held_out.volumes import score_fold_volumes
from temporem.fitting.options import FittingOptions
from temporem.fitting.warm_start import assemble
from temporem.model.anchor_generator import AnchorGenerator
from temporem.model.features import SubspaceFeatures
from temporem.model.methods import DynamicalModel

MOVIES, FRAMES, BOX = 16, 8, 16


def drifting() -> torch.Tensor:
    phase = torch.linspace(0, 2 * math.pi, MOVIES + 1)[:-1, None]
    return 0.5 + 0.5 * torch.sin(phase + torch.arange(FRAMES) * 2 * math.pi / 32)


@pytest.fixture(scope="module")
def store() -> FrameStore:
    return blob_store(drifting(), snr=0.5)


def true_generator() -> AnchorGenerator:
    """The molecule itself at 24 states, narrowly interpolated."""
    anchors = torch.linspace(0, 1, 24)[:, None]
    generator = AnchorGenerator(BOX, 1, 24)
    generator.place(anchors, Molecule(BOX).volumes(anchors[:, 0]), torch.eye(1), 0.02)
    return generator


def test_the_truth_scores_what_its_residuals_say(store: FrameStore) -> None:
    state = drifting().flatten()
    generator = true_generator()
    still = Molecule(BOX).volumes(state).mean(0)
    score = score_volumes(generator, state[:, None], still, store)
    frames, lattice = store.frames(torch.arange(len(store))), store.lattice
    slices = generator.slices(state[:, None], frames.rotation, lattice.frequency)
    mean = still_slices(still, frames.rotation, lattice.frequency)
    images, moving, standing = (
        lattice.to_images(x) for x in (frames.coefficients, frames.transfer * slices, frames.transfer * mean)
    )
    expected = 0.5 * ((images - standing).square() - (images - moving).square()).sum() / len(store)
    assert score.nats_per_frame == pytest.approx(float(expected), rel=1e-3)
    assert score.movies == MOVIES
    assert score.is_positive


@pytest.fixture(scope="module")
def model(store: FrameStore) -> DynamicalModel:
    """An encoder with time on random components, and the molecule itself."""
    options = FittingOptions(latent_dim=1)
    model = assemble(store, options, True, true_generator()).eval()
    assert isinstance(model.features, SubspaceFeatures)
    with torch.no_grad():
        parts = model.features.subspace.parts
        parts.copy_(torch.randn(parts.shape, generator=torch.Generator().manual_seed(0)))
    return model


def test_held_out_coefficients_leave_the_known_ones_unscored(
    store: FrameStore, model: DynamicalModel
) -> None:
    batch = store.movies(torch.arange(3))
    still = Molecule(BOX).volumes(torch.full((1,), 0.5))[0]

    def scored(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return foretell_coefficients(model, store, batch, still, generator)

    assert scored(0).tolist() == scored(0).tolist()
    assert scored(0).tolist() != scored(1).tolist()
    # A volume that stands still is foretold no better than itself.
    same = AnchorGenerator(BOX, 1, 1)
    same.fill(still)
    one = DynamicalModel(same, model.features, model.encoder, model.prior)
    found = foretell_coefficients(one, store, batch, still, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-2, rtol=0)


def test_volumes_of_one_half_foretell_the_other(store: FrameStore) -> None:
    consensus = find_consensus(store)
    folds = fit_folds(store, consensus.volume, 2, torch.Generator().manual_seed(0), silent)
    z = drifting().flatten()[:, None]
    given = (consensus.volume, consensus.mask, consensus.signal_power)
    like = fit_anchors(store, z, torch.eye(1), *given, 0, silent)
    for known in (like, None):
        score = score_fold_volumes(folds[1], 2, consensus, known, 0)
        assert score.movies == MOVIES // 2
        assert score.is_positive


def test_states_left_out_are_those_of_the_first_components(store: FrameStore) -> None:
    fold, _ = fit_folds(store, find_consensus(store).volume, 2, torch.Generator().manual_seed(0), silent)
    frames = fold.scored.frames(torch.arange(len(fold.scored)))
    told = fold.first(1).information(frames.coefficients, frames.transfer, frames.rotation, store.lattice)
    batch = fold.scored.movies(torch.arange(len(fold.scored.movie_rows)))
    order = batch.rows
    expected = leave_each_out(told.matrix[order], told.vector[order], batch, fold.relaxation_time[:1])
    torch.testing.assert_close(fold.left_out(1).mean, expected.mean, rtol=1e-3, atol=1e-4)
