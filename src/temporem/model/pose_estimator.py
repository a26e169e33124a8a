"""F(φ_t | X_t): where each frame's particle stood, each frame alone (paper, Eq. 14)."""

from dataclasses import dataclass

import roma
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from temporem.model.fourier_generator import ResidualLayer
from temporem.model.gaussian import DiagonalGaussian
from temporem.physics.rotation_density import log_density, relative_entropy, turned
from temporem.physics.rotations import random_rotations

__all__ = ["PoseCandidates", "PoseEstimator", "PoseSample"]

LOG_SD_OF_ROTATION = (-4.5, 0.4)
"""Bounds, of radians: below, a frame of these boxes cannot tell; above, nearly uniform."""
LOG_SD_OF_SHIFT = (-3.5, 1.5)
"""Bounds, of pixels."""
FIRST_LOG_SD = -1.2, 0.0
"""Of rotation and shift, before anything is learned."""


@dataclass(frozen=True)
class PoseSample:
    """Poses drawn, and what it costs to have them."""

    rotation: Float[Tensor, "*batch 3 3"]
    translation_in_pixels: Float[Tensor, "*batch 2"]
    divergence: Float[Tensor, "*batch"]
    """KL[q ‖ p] in nats, p uniform over SO(3) and normal over shifts; the rotation's is estimated."""


@dataclass(frozen=True)
class PoseCandidates:
    """Gaussians over the pose: normal in the tangent space of the mean rotation, and in the plane.

    Each leading index is a Gaussian of its own; a frame has several, and its image says which holds.
    """

    rotation: Float[Tensor, "*batch 3 3"]
    """Mean A: a point p of the molecule lands at A·p + t."""
    log_sd_of_rotation: Float[Tensor, "*batch 3"]
    """About the image's axes, in radians."""
    shift: DiagonalGaussian
    """t = (x, y) in pixels."""

    def sample(self, noise: Float[Tensor, "*batch 5"], shift_prior: DiagonalGaussian) -> PoseSample:
        """Reparametrised draws with standard normal noise: three numbers for the rotation, two for the shift.

        Zero noise gives the means.
        """
        turn, move = noise[..., :3], noise[..., 3:]
        rotation = turned(self.rotation, turn * torch.exp(self.log_sd_of_rotation))
        divergence = relative_entropy(turn, self.log_sd_of_rotation) + self.shift.kl_from(shift_prior)
        return PoseSample(rotation, self.shift.sample(move), divergence)

    def log_density(
        self, rotation: Float[Tensor, "*#batch 3 3"], translation_in_pixels: Float[Tensor, "*#batch 2"]
    ) -> Float[Tensor, "*batch"]:
        """log q(φ), the rotation's relative to the uniform distribution."""
        turn = log_density(rotation.expand_as(self.rotation), self.rotation, self.log_sd_of_rotation)
        return turn + self.shift.log_density(translation_in_pixels)

    def chosen(self, index: Int[Tensor, " frames"]) -> "PoseCandidates":
        """Of candidates (frames, candidates), one of each frame."""
        rows = torch.arange(len(index), device=index.device)
        shift = DiagonalGaussian(self.shift.mean[rows, index], self.shift.log_variance[rows, index])
        return PoseCandidates(self.rotation[rows, index], self.log_sd_of_rotation[rows, index], shift)

    def halves(self) -> tuple["PoseCandidates", "PoseCandidates"]:
        """The first half of the frames, and the second."""
        rotation, spread, mean, log_variance = (
            x.chunk(2)
            for x in (self.rotation, self.log_sd_of_rotation, self.shift.mean, self.shift.log_variance)
        )
        first, second = (
            PoseCandidates(rotation[i], spread[i], DiagonalGaussian(mean[i], log_variance[i])) for i in (0, 1)
        )
        return first, second

    def half_turned(self) -> "PoseCandidates":
        """The same poses of the images turned by half a turn in their plane."""
        half = self.rotation.new_tensor([-1.0, -1.0, 1.0])
        shift = DiagonalGaussian(-self.shift.mean, self.shift.log_variance)
        return PoseCandidates(half[:, None] * self.rotation, self.log_sd_of_rotation, shift)

    def beside(self, other: "PoseCandidates") -> "PoseCandidates":
        """Both along the second axis: (frames, candidates) each."""
        shift = DiagonalGaussian(
            torch.cat((self.shift.mean, other.shift.mean), 1),
            torch.cat((self.shift.log_variance, other.shift.log_variance), 1),
        )
        return PoseCandidates(
            torch.cat((self.rotation, other.rotation), 1),
            torch.cat((self.log_sd_of_rotation, other.log_sd_of_rotation), 1),
            shift,
        )


class PoseEstimator(nn.Module):
    """Several mean-field Gaussians over rotation and shift for each frame, from its features (paper, Eq. 14).

    One Gaussian cannot say "this way, or that"; several heads can (CryoSPIN, Shekarforoush et al. 2024), and
    start from rotations of their own. A rotation is two columns made orthonormal (Zhou et al. 2019). Weights
    are drawn from torch's global generator, the heads' rotations from the one given.
    """

    def __init__(
        self, features: int, width: int, layers: int, heads: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.heads = heads
        self.input = nn.Linear(features, width)
        self.hidden = nn.Sequential(*(ResidualLayer(width) for _ in range(layers)))
        self.gaussian = nn.Linear(width, heads * 13)
        self.log_shift_sd = nn.Parameter(torch.zeros(()))
        """Of the prior over shifts, in pixels; learned, so that it is that of all frames."""
        with torch.no_grad():
            bias = torch.zeros(heads, 13)
            bias[:, :6] = random_rotations(heads, generator)[:, :, :2].flatten(1)
            bias[:, 6:9], bias[:, 11:] = FIRST_LOG_SD
            self.gaussian.bias.copy_(bias.flatten())

    @property
    def shift_prior(self) -> DiagonalGaussian:
        """N(0, s²) over each axis, in pixels."""
        log_variance = 2 * self.log_shift_sd.expand(2)
        return DiagonalGaussian(torch.zeros_like(log_variance), log_variance)

    def forward(self, features: Float[Tensor, "frames features"]) -> PoseCandidates:
        """(frames, heads) Gaussians."""
        hidden = torch.relu(self.hidden(torch.relu(self.input(features))))
        found = self.gaussian(hidden).unflatten(-1, (self.heads, 13))
        columns, turn, shift, spread = found.split((6, 3, 2, 2), dim=-1)
        rotation: Tensor = roma.special_gramschmidt(columns.unflatten(-1, (3, 2)))
        return PoseCandidates(
            rotation,
            turn.clamp(*LOG_SD_OF_ROTATION),
            DiagonalGaussian(shift, 2 * spread.clamp(*LOG_SD_OF_SHIFT)),
        )
