"""The methods, put together from the same parts: with time (tempor) and without; with poses and without."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from temporem.model.batches import FrameBatch, MovieBatch
from temporem.model.encoders import Encoder, LatentPath
from temporem.model.features import FeatureExtractor
from temporem.model.gaussian import DiagonalGaussian
from temporem.model.generators import Generator
from temporem.model.pose_estimator import PoseCandidates, PoseEstimator
from temporem.model.priors import LatentPrior
from temporem.physics.lattice import HalfDisc

__all__ = ["DynamicalModel"]


class DynamicalModel(nn.Module):
    """A generator, a feature extractor, an encoder and a prior: everything a method is.

    The paper's comparison of methods is one of encoders and priors: `tempor` has a `TemporalEncoder` and a
    prior over paths; `cryodrgn` a `FrameEncoder` and N(0, I). Generator and feature extractor are the same.
    Either has a `PoseEstimator` where poses are unknown; `cryodrgn` with one is `hetem`.
    """

    def __init__(
        self,
        generator: Generator,
        features: FeatureExtractor,
        encoder: Encoder,
        prior: LatentPrior,
        poses: PoseEstimator | None = None,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.features = features
        self.encoder = encoder
        self.prior = prior
        self.poses = poses

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

    def pose_candidates(self, frames: FrameBatch, lattice: HalfDisc) -> PoseCandidates:
        """Gaussians over each frame's pose, (frames, 2 · heads): seen upright, and seen half turned.

        A network takes images that are nearly their own half turn for one image, and the volume becomes
        symmetric; shown both, it may give two poses, of which the frame itself says which holds (the
        symmetric loss of CryoAI, Levy et al. 2022).

        Raises ValueError for a model of known poses.
        """
        poses = self._pose_estimator()
        # A half turn takes k to −k, where a real image has the conjugate, and a CTF the same value.
        seen = torch.cat((frames.coefficients, frames.coefficients.conj()))
        transfer, rotation = (torch.cat((x, x)) for x in (frames.transfer, frames.rotation))
        found: PoseCandidates = poses(self.features(seen, transfer, rotation, lattice))
        upright, turned = found.halves()
        return upright.beside(turned.half_turned())

    def shift_prior(self) -> DiagonalGaussian:
        """p(t) over each axis, in pixels.

        Raises ValueError for a model of known poses.
        """
        return self._pose_estimator().shift_prior

    def _pose_estimator(self) -> PoseEstimator:
        if self.poses is None:
            raise ValueError("this model takes poses as known")
        return self.poses

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
