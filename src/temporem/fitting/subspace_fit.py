"""Fit the linear subspace by the exact marginal likelihood of whole movies: states without a network."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.stability import require_finite, stable
from temporem.fitting.threads import go_on
from temporem.model.batches import MovieBatch
from temporem.model.smoothing import evidence, smooth
from temporem.model.subspace import FrameInformation, LinearSubspace
from temporem.physics.volumes import fourier_resize

__all__ = [
    "FIRST_EPOCHS",
    "FIRST_RATE",
    "REMEDY",
    "START_RELAXATION_TIME",
    "SubspacePosterior",
    "fit_subspace",
    "order_components",
    "sort_components",
    "start_subspace",
    "subspace_posterior",
    "subspace_radius",
]

FIRST_EPOCHS, FIRST_RATE = 8, 0.1
"""From noise, each frame alone: then components can be turned, and ordered by how much they move."""
RESOLUTION_IN_ANGSTROMS = 16.0
"""Of the subspace: motions of domains show at it, and noise is low."""
START = 0.1
"""Amplitude of the random components at the start, relative to the consensus."""
RELATIVE_SCALE = 0.2
"""Prior standard deviation of the components' voxels, relative to the rms of the consensus."""
TIME_LEARNING_RATE = 0.05
"""Of Adam, for the logarithms of the relaxation times."""
FRAMES_PER_BATCH = 200
START_RELAXATION_TIME = 5.0
"""In usual frame intervals."""
_LIKELIHOOD = "the likelihood of the linear subspace"
REMEDY = "check the poses, the CTF and the pixel size, or take --features image"
"""Where numbers in the subspace are lost."""


@dataclass(frozen=True)
class SubspacePosterior:
    """States of all frames in the linear subspace, in the order of rows."""

    mean: Float[Tensor, "frames latent"]
    covariance: Float[Tensor, "frames latent latent"]


def subspace_radius(box_size: int, pixel_size_in_angstroms: float) -> int:
    """Fourier radius of the subspace, in pixels."""
    radius = round(box_size * pixel_size_in_angstroms / RESOLUTION_IN_ANGSTROMS)
    return max(4, min(radius, box_size // 2))


def start_subspace(
    subspace: LinearSubspace, consensus: Float[Tensor, "n n n"], generator: torch.Generator
) -> None:
    """Set V₀ to the consensus, and the components to noise far weaker."""
    coarse = fourier_resize(consensus, 2 * subspace.radius)
    noise = torch.randn(subspace.parts.shape, generator=generator).to(coarse)
    with torch.no_grad():
        subspace.parts.copy_(noise * START * coarse.square().mean().sqrt())
        subspace.parts[0] = coarse


def fit_subspace(
    subspace: LinearSubspace,
    store: FrameStore,
    relaxation_time: Float[Tensor, " latent"] | None,
    epochs: int,
    learning_rate: float,
    generator: torch.Generator,
    told: Callable[[float], None],
) -> Float[Tensor, " latent"] | None:
    """Ascend the marginal likelihood by Adam, with a Gaussian prior on the components' voxels.

    Returns the relaxation times found, in usual frame intervals; None, no time, goes in and comes out.
    `learning_rate` is relative to the rms of V₀, and falls to a tenth. After each epoch the mean −log
    likelihood of its frames is `told`.

    Raises UserError where the likelihood is lost to numbers that are not finite.
    """
    scale = float(subspace.parts[0].detach().square().mean().sqrt())
    log_time = None if relaxation_time is None else relaxation_time.log().requires_grad_()
    groups = [{"params": [subspace.parts], "lr": learning_rate * scale}]
    if log_time is not None:
        groups.append({"params": [log_time], "lr": TIME_LEARNING_RATE})
    optimiser, processes = torch.optim.Adam(groups), store.processes
    climbing = [subspace.parts, *([] if log_time is None else [log_time])]
    for epoch in range(epochs):
        total = 0.0
        optimiser.param_groups[0]["lr"] = learning_rate * scale * max(0.1, 1 - epoch / epochs)
        for batch in store.epoch(FRAMES_PER_BATCH, generator, subspace.coefficients_used(store.lattice)):
            go_on()
            time = None if log_time is None else log_time.exp()
            mine = processes.share_of(batch)
            of_frames = _told(subspace, store, mine)
            with stable(_LIKELIHOOD, REMEDY):
                likelihood = evidence(*_padded(mine, of_frames), mine.interval, time, mine.mask)
            moving = subspace.parts[1:].square().sum() / (RELATIVE_SCALE * scale) ** 2
            misfit = 0.5 * of_frames.squared_residual.sum() - likelihood.sum()
            loss = misfit / len(batch.rows) + 0.5 * moving / (len(store) * processes.count)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            processes.sum_gradients(climbing)
            optimiser.step()
            of_batch = float(processes.summed(loss.detach()))
            require_finite(of_batch, _LIKELIHOOD, REMEDY)
            total += of_batch * len(batch.rows)
        told(total / len(store))
    # What comes next trains other parts, and would take the last gradient for one of its own.
    optimiser.zero_grad()
    return None if log_time is None else log_time.detach().exp()


def _told(subspace: LinearSubspace, store: FrameStore, batch: MovieBatch) -> FrameInformation:
    frames = store.frames(batch.rows, subspace.coefficients_used(store.lattice))
    return subspace.information(frames.coefficients, frames.transfer, frames.rotation, store.lattice)


def _padded(batch: MovieBatch, told: FrameInformation) -> tuple[Tensor, Tensor]:
    return batch.pad(told.matrix), batch.pad(told.vector)


@torch.no_grad()
def subspace_posterior(
    subspace: LinearSubspace, store: FrameStore, relaxation_time: Float[Tensor, " latent"] | None
) -> SubspacePosterior:
    """Exact posterior of every frame given its movie (or itself alone, without a relaxation time)."""
    latent = subspace.latent_dim
    mean = torch.zeros(len(store), latent)
    covariance = torch.zeros(len(store), latent, latent)
    for of_all in store.epoch(FRAMES_PER_BATCH, count=subspace.coefficients_used(store.lattice)):
        batch = store.processes.share_of(of_all)
        told = _padded(batch, _told(subspace, store, batch))
        with stable(_LIKELIHOOD, REMEDY):
            states = smooth(*told, batch.interval, relaxation_time, batch.mask)
        mean[batch.rows] = states.mean[batch.mask].cpu()
        covariance[batch.rows] = states.covariance[batch.mask].cpu()
    return SubspacePosterior(store.processes.summed(mean), store.processes.summed(covariance))


@torch.no_grad()
def order_components(subspace: LinearSubspace) -> None:
    """Turn the basis so that components are orthogonal volumes, those that move most first.

    A turn leaves the likelihood, the prior N(0, I) of the states and that of the components as they are; see
    `sort_components` where components have relaxation times of their own.
    """
    parts = subspace.parts.data
    moving = parts[1:].flatten(1)
    axes = torch.linalg.eigh(moving @ moving.T).eigenvectors.flip(-1)
    parts[1:] = torch.einsum("jzyx,jk->kzyx", parts[1:], axes)


@torch.no_grad()
def sort_components(
    subspace: LinearSubspace, relaxation_time: Float[Tensor, " latent"]
) -> Float[Tensor, " latent"]:
    """Put the components that move most first, and return their relaxation times in the new order."""
    parts = subspace.parts.data
    order = parts[1:].flatten(1).square().sum(-1).argsort(descending=True)
    parts[1:] = parts[1:][order]
    return relaxation_time[order]
