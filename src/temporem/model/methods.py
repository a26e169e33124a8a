"""The methods, put together from the same parts: with time (tempor) and without (cryodrgn)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from temporem.model.batches import FrameBatch, MovieBatch
from temporem.model.encoders import Encoder, LatentPath
from temporem.model.features import FeatureExtractor
from temporem.model.gaussian import DiagonalGaussian
from temporem.model.generators import Generator
from temporem.model.priors import LatentPrior
from temporem.physics.lattice import HalfDisc

__all__ = ["DynamicalModel"]


class DynamicalModel(nn.Module):
    """A generator, a feature extractor, an encoder and a prior: everything a method is.

    The paper's comparison of methods is one of encoders and priors: `tempor` has a `TemporalEncoder` and a
    prior over paths; `cryodrgn` a `FrameEncoder` and N(0, I). Generator and feature extractor are the same.
    """

    def __init__(
        self, generator: Generator, features: FeatureExtractor, encoder: Encoder, prior: LatentPrior
    ) -> None:
        super().__init__()
        self.generator = generator
        self.features = features
        self.encoder = encoder
        self.prior = prior

    def infer(
        self,
        frames: FrameBatch,
        batch: MovieBatch,
        lattice: HalfDisc,
        noise: Float[Tensor, "movies length latent"],
    ) -> LatentPath:
        """A path of states of each movie, drawn with the noise given; zero noise gives the path of means."""
        features = self.features(frames.coefficients, frames.transfer, frames.rotation, lattice)
        path: LatentPath = self.encoder(batch.pad(features), batch.interval, batch.mask, noise)
        return path

    @torch.no_grad()
    def posterior(
        self,
        frames: FrameBatch,
        batch: MovieBatch,
        lattice: HalfDisc,
        samples: int,
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "frames latent"], Float[Tensor, "frames latent"]]:
        """Mean and marginal standard deviation of each frame's state.

        The mean is the path of means, the same at every call. The variance, over z_{t−1} too, comes from
        sampled paths: the mean of the conditional variances plus the variance of the conditional means.
        """
        features = batch.pad(self.features(frames.coefficients, frames.transfer, frames.rotation, lattice))
        shape = (*batch.mask.shape, self.generator.latent_dim)
        device = frames.rotation.device

        def conditional(noise: Float[Tensor, "movies length latent"]) -> DiagonalGaussian:
            path: LatentPath = self.encoder(features, batch.interval, batch.mask, noise)
            return path.conditional

        mean = conditional(torch.zeros(shape, device=device)).mean
        paths = [conditional(torch.randn(shape, generator=generator).to(device)) for _ in range(samples)]
        within = torch.stack([path.log_variance.exp() for path in paths]).mean(0)
        between = torch.stack([path.mean for path in paths]).var(0, correction=0)
        return mean[batch.mask], (within + between).sqrt()[batch.mask]
