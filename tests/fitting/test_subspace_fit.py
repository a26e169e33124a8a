"""The linear subspace on data that truly are linear, of states that truly relax."""

import math

import numpy as np
import pytest
import torch
from blob_movies import Molecule, store_of, untold
from torch import Tensor

from temporem.errors import UserError
from temporem.fitting.consensus import find_consensus
from temporem.fitting.frames import FrameStore
from temporem.fitting.subspace_fit import (
    START_RELAXATION_TIME,
    fit_subspace,
    order_components,
    sort_components,
    start_subspace,
    subspace_posterior,
    subspace_radius,
)
from temporem.model.subspace import LinearSubspace
from temporem.physics.rotations import random_rotations

BOX, MOVIES, FRAMES, TAU = 16, 24, 10, 6.0


def linear_movies(snr: float) -> tuple[FrameStore, Tensor]:
    """Atoms whose weights are linear in two states, each an Ornstein–Uhlenbeck process; and the states."""
    generator = torch.Generator().manual_seed(0)
    decay = math.exp(-1 / TAU)
    z = torch.randn(MOVIES, FRAMES, 2, generator=generator)
    for t in range(1, FRAMES):
        z[:, t] = decay * z[:, t - 1] + math.sqrt(1 - decay**2) * z[:, t]
    z = z.flatten(0, 1)
    molecule = Molecule(BOX)
    rotation = random_rotations(len(z), generator).float()
    turned = torch.einsum("fij,faj->fai", rotation, molecule.positions(torch.zeros(len(z))))
    direction = torch.tensor([[0.0, 0, 0, 0, 0, 1, 1, 1], [1, -1, 1, 0, -1, 0, 0, 0]]) * 0.6
    weight = 1 + z @ direction
    x, y = (molecule.profile(turned[..., i]) for i in (0, 1))
    clean = torch.einsum("fa,fay,fax->fyx", weight, y, x)
    sd = float(clean.std()) / math.sqrt(snr)
    images = clean + sd * torch.randn(clean.shape, generator=generator)
    rows = np.arange(len(z))
    return store_of(images, rotation, rows // FRAMES, rows % FRAMES * 1.0, sd**2), z


def found_states(
    store: FrameStore, timed: bool, epochs: int = 16
) -> tuple[LinearSubspace, Tensor, Tensor | None, list[float]]:
    """The subspace, the states, the relaxation times and the likelihood's course."""
    subspace = LinearSubspace(BOX, 2, subspace_radius(BOX, 6.0))
    generator = torch.Generator().manual_seed(0)
    start_subspace(subspace, find_consensus(store).volume, generator)
    time = torch.full((2,), START_RELAXATION_TIME) if timed else None
    notes: list[float] = []
    found = fit_subspace(subspace, store, time, epochs, 0.1, generator, notes.append)
    return subspace, subspace_posterior(subspace, store, found).mean, found, notes


def explained(found: Tensor, true: Tensor) -> float:
    """R² of the true states after a linear map of those found."""
    known = torch.cat((found, torch.ones(len(found), 1)), dim=1).double()
    residual = true.double() - known @ torch.linalg.lstsq(known, true.double()).solution
    return 1 - float((residual**2).sum() / ((true - true.mean(0)) ** 2).sum())


def test_it_finds_the_states_and_the_likelihood_rises() -> None:
    store, z = linear_movies(snr=4.0)
    subspace, states, time, course = found_states(store, timed=True)
    assert explained(states, z) > 0.9
    assert course[-1] < course[0]
    assert time is not None
    assert ((time > TAU / 4) & (time < TAU * 4)).all()
    assert subspace.parts.grad is None


def test_time_is_worth_something_where_noise_is_strong() -> None:
    store, z = linear_movies(snr=0.1)
    with_time = explained(found_states(store, timed=True)[1], z)
    without = explained(found_states(store, timed=False)[1], z)
    assert with_time > without + 0.05


def test_ordering_turns_the_basis_and_nothing_else() -> None:
    store, _ = linear_movies(snr=1.0)
    subspace, states, _, _ = found_states(store, timed=False, epochs=3)
    variance = subspace_posterior(subspace, store, None).covariance.diagonal(dim1=1, dim2=2).sum(-1)
    moving = torch.einsum("fj,jzyx->fzyx", states, subspace.parts[1:])
    order_components(subspace)
    turned = subspace_posterior(subspace, store, None)
    gram = subspace.parts[1:].flatten(1) @ subspace.parts[1:].flatten(1).T
    assert gram[0, 0] >= gram[1, 1]
    assert abs(gram[0, 1]) < 1e-4 * gram[1, 1]
    moved = torch.einsum("fj,jzyx->fzyx", turned.mean, subspace.parts[1:])
    torch.testing.assert_close(moved, moving, atol=1e-3 * float(moving.detach().abs().max()), rtol=0)
    torch.testing.assert_close(
        turned.covariance.diagonal(dim1=1, dim2=2).sum(-1), variance, rtol=1e-3, atol=0
    )


def test_sorting_moves_relaxation_times_with_their_components() -> None:
    store, _ = linear_movies(snr=1.0)
    subspace = LinearSubspace(BOX, 3, subspace_radius(BOX, 1.0)).requires_grad_(False)
    generator = torch.Generator().manual_seed(3)
    subspace.parts.copy_(torch.randn(subspace.parts.shape, generator=generator) * 0.02)
    subspace.parts[2] *= 3
    time = torch.tensor([1.0, 5.0, 30.0])
    before = subspace_posterior(subspace, store, time)
    moving = torch.einsum("fj,jzyx->fzyx", before.mean, subspace.parts[1:])
    time = sort_components(subspace, time)
    assert time[0] == 5.0
    power = subspace.parts[1:].flatten(1).square().sum(-1)
    assert power[0] >= power[1] >= power[2]
    after = subspace_posterior(subspace, store, time)
    moved = torch.einsum("fj,jzyx->fzyx", after.mean, subspace.parts[1:])
    torch.testing.assert_close(moved, moving, atol=1e-4 * float(moving.abs().max()), rtol=0)


@pytest.mark.parametrize(
    ("box", "pixel_size", "radius"), [(64, 3.0, 12), (16, 1.0, 4), (64, 30.0, 32), (16, 6.0, 6)]
)
def test_the_radius_is_that_of_sixteen_angstroms_within_the_box(
    box: int, pixel_size: float, radius: int
) -> None:
    assert subspace_radius(box, pixel_size) == radius


def test_a_lost_likelihood_ends_in_a_sentence() -> None:
    store, _ = linear_movies(snr=1.0)
    subspace = LinearSubspace(BOX, 2, 6)
    with torch.no_grad():
        subspace.parts.fill_(torch.nan)
    with pytest.raises(UserError, match="likelihood of the linear subspace became unstable"):
        fit_subspace(subspace, store, None, 1, 0.1, torch.Generator(), untold)
