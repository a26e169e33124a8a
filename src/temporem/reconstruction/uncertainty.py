"""How far to believe a voxel: posterior samples of a frame's state, and the fit's error where it is known."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from torch import Tensor

from temporem.reconstruction.latents_file import latent_columns
from temporem.reconstruction.run import Run
from temporem.reconstruction.volume_file import read_volume

__all__ = ["DRAWS", "SPREAD", "drawn_states", "fit_deviation", "voxel_deviations"]

DRAWS = 32
"""States drawn for a frame: a standard deviation from so many is itself known to an eighth."""
SPREAD = "halves/spread.mrc"
"""In a run's folder, of `temporem halves`: root mean square of half the difference of its halves' volumes."""
SMOOTHING_IN_VOXELS = 2.0
"""Standard deviation of the Gaussian over which the squared difference of two halves is averaged: at one
voxel alone it has one degree of freedom."""


def drawn_states(
    run: Run, positions: Sequence[int], count: int, generator: torch.Generator
) -> Float[Tensor, "frames draws latent"]:
    """Draws from the posterior of the states of some frames, by their positions in `Run.latents`."""
    latents = run.latents()
    mean = torch.from_numpy(latents[latent_columns(latents)].to_numpy(copy=True))[list(positions)]
    covariance = run.covariance()[list(positions)]
    # By eigenvalues and not Cholesky's factors: of a latent known for certain there are none.
    values, vectors = torch.linalg.eigh(covariance.double())
    root = (vectors * values.clamp(min=0).sqrt()[:, None]).float()
    noise = torch.randn(len(positions), count, mean.shape[-1], generator=generator)
    return mean[:, None] + torch.einsum("fij,fdj->fdi", root, noise)


def fit_deviation(run: Run) -> Float[Tensor, "n n n"] | None:
    """Standard deviation of each voxel that comes from the finite data of the fit; None without halves."""
    path = run.path / SPREAD
    if not path.exists():
        return None
    squared = read_volume(path).square().numpy()
    return torch.from_numpy(gaussian_filter(squared, SMOOTHING_IN_VOXELS)).sqrt()


def voxel_deviations(
    run: Run, rows: Sequence[int], draws: int = DRAWS, seed: int = 0
) -> Iterator[Float[Tensor, "n n n"]]:
    """Standard deviation of each voxel of the volumes of these image rows, in the scale of the images.

    It joins what the state's posterior leaves open with, where `temporem halves` was run, what the fit's
    finite data do, as independent. What the method cannot express is in neither.
    """
    latents = run.latents()
    position = dict(zip(latents["image"].tolist(), range(len(latents)), strict=True))
    generator = torch.Generator().manual_seed(seed)
    fit = fit_deviation(run)
    for row in rows:
        states = drawn_states(run, [position[int(row)]], draws, generator)[0]
        of_state = _deviation(run, states)
        yield of_state if fit is None else (of_state.square() + fit.square()).sqrt()


def _deviation(run: Run, states: Float[Tensor, "draws latent"]) -> Float[Tensor, "n n n"]:
    # Sums of differences from the first draw, which lose no digits to the mean.
    first: Tensor | None = None
    total, squared = torch.zeros(()), torch.zeros(())
    for volume in run.volumes_at(states):
        first = volume if first is None else first
        total, squared = total + (volume - first), squared + (volume - first).square()
    count = len(states)
    return ((squared - total.square() / count) / (count - 1)).clamp(min=0).sqrt()
