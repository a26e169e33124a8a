"""The feature extractor: what one frame has to tell, as a vector; shared by the encoders of every method."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from temporem.model.fourier_generator import ResidualLayer
from temporem.model.subspace import LinearSubspace
from temporem.physics.lattice import HalfDisc

__all__ = ["FeatureExtractor", "ImageFeatures", "SubspaceFeatures", "UnpackedFeatures", "unpacked"]


class FeatureExtractor(nn.Module, ABC):
    """Features of single frames. Movies are put together by the encoders."""

    width: int

    @abstractmethod
    def forward(
        self,
        coefficients: Complex[Tensor, "frames coefficients"],
        transfer: Float[Tensor, "frames coefficients"],
        rotation: Float[Tensor, "frames 3 3"],
        lattice: HalfDisc,
    ) -> Float[Tensor, "frames width"]:
        """Features of frames whose coefficients are whitened and centred; `transfer` is CTF / noise sd."""


class ImageFeatures(FeatureExtractor):
    """The paper's: an MLP on the half-disc of coefficients (Fig. 2), phase-flipped by the CTF.

    It needs no pose and reads none.
    """

    def __init__(self, lattice: HalfDisc, radius: int, width: int, layers: int) -> None:
        super().__init__()
        self.width = width
        self.count = lattice.count_within(radius)
        self.input = nn.Linear(2 * self.count, width)
        self.hidden = nn.Sequential(*(ResidualLayer(width) for _ in range(layers)))

    def forward(
        self,
        coefficients: Complex[Tensor, "frames coefficients"],
        transfer: Float[Tensor, "frames coefficients"],
        rotation: Float[Tensor, "frames 3 3"],
        lattice: HalfDisc,
    ) -> Float[Tensor, "frames width"]:
        """See `FeatureExtractor.forward`."""
        flipped = coefficients[:, : self.count] * transfer[:, : self.count].sign()
        # Low frequencies stand orders of magnitude above the noise: an even scale keeps the rest visible.
        scaled = torch.view_as_real(flipped)
        scaled = torch.asinh(scaled).flatten(1)
        return torch.relu(self.hidden(torch.relu(self.input(scaled))))


class SubspaceFeatures(FeatureExtractor):
    """For known poses: what the frame says of z in a `LinearSubspace`; exact, where the linear model is.

    The first layer of `ImageFeatures` has to learn anew for each orientation what the same change of the
    molecule looks like; here the change is learned once in the molecule's frame, and turned. The features
    are the mean and log variances of the posterior under N(0, I), then the natural parameters b and H that
    a smoother along time needs; see `unpacked`.
    """

    def __init__(self, subspace: LinearSubspace) -> None:
        super().__init__()
        self.subspace = subspace
        self.width = subspace.latent_dim * (3 + subspace.latent_dim)

    def forward(
        self,
        coefficients: Complex[Tensor, "frames coefficients"],
        transfer: Float[Tensor, "frames coefficients"],
        rotation: Float[Tensor, "frames 3 3"],
        lattice: HalfDisc,
    ) -> Float[Tensor, "frames width"]:
        """See `FeatureExtractor.forward`."""
        told = self.subspace.information(coefficients, transfer, rotation, lattice)
        identity = torch.eye(self.subspace.latent_dim, device=rotation.device)
        factor = torch.linalg.cholesky(told.matrix + identity)
        mean = torch.cholesky_solve(told.vector[..., None], factor)[..., 0]
        variance = torch.cholesky_inverse(factor).diagonal(dim1=-2, dim2=-1)
        return torch.cat((mean, variance.log(), told.vector, told.matrix.flatten(1)), dim=-1)


@dataclass(frozen=True)
class UnpackedFeatures:
    """The parts of `SubspaceFeatures`."""

    estimate: Float[Tensor, "*batch twice"]
    """Mean and log variances of z under N(0, I)."""
    vector: Float[Tensor, "*batch latent"]
    """b."""
    matrix: Float[Tensor, "*batch latent latent"]
    """H."""


def unpacked(features: Float[Tensor, "*batch width"], latent_dim: int) -> UnpackedFeatures:
    """Take apart what `SubspaceFeatures` put together."""
    estimate, vector, matrix = torch.split(features, [2 * latent_dim, latent_dim, latent_dim**2], dim=-1)
    return UnpackedFeatures(estimate, vector, matrix.reshape(*matrix.shape[:-1], latent_dim, latent_dim))
