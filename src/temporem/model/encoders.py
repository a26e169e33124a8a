"""q(z | X): latent states from features of frames, with time (paper, Eq. 13) and without (Eq. 9)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from temporem.model.features import unpacked
from temporem.model.gaussian import DiagonalGaussian
from temporem.model.smoothing import filtered, smooth

__all__ = ["Combiner", "Encoder", "FrameEncoder", "LatentPath", "TemporalEncoder"]


@dataclass(frozen=True)
class LatentPath:
    """A sample z of a batch of movies and the Gaussians it was drawn from, frame by frame."""

    z: Float[Tensor, "movies frames latent"]
    conditional: DiagonalGaussian
    """q(z_t | z_{t−1}, X); for an encoder without time, q(z_t | X_t)."""


class Encoder(nn.Module, ABC):
    """A posterior over the latent states of movies.

    Movies are padded to one length: the mask is True at real frames, and padding comes last.
    """

    @abstractmethod
    def forward(
        self,
        features: Float[Tensor, "movies frames features"],
        interval: Float[Tensor, "movies frames"],
        mask: Bool[Tensor, "movies frames"],
        noise: Float[Tensor, "movies frames latent"],
    ) -> LatentPath:
        """Sample a path with the standard normal noise given; zero noise gives the path of means.

        `interval` is the time since the frame before, in usual frame intervals; infinite at a first frame.
        """


def _gaussian(parameters: Float[Tensor, "*batch twice"]) -> DiagonalGaussian:
    mean, log_variance = parameters.chunk(2, dim=-1)
    return DiagonalGaussian(mean, log_variance.clamp(-12.0, 4.0))


class FrameEncoder(Encoder):
    """q(z_t | X_t), each frame alone: the encoder of cryoDRGN and HetEM (paper, Eq. 9).

    On `SubspaceFeatures` (`linear`) it starts as their own posterior, and keeps to what they say of z.
    """

    def __init__(self, features: int, latent_dim: int, width: int, linear: bool) -> None:
        super().__init__()
        self.latent_dim, self.linear = latent_dim, linear
        known = 2 * latent_dim if linear else features
        self.hidden = nn.Linear(known, width)
        self.gaussian = nn.Linear(width, 2 * latent_dim)
        self.direct = _direct(known, latent_dim)
        nn.init.zeros_(self.gaussian.weight)
        nn.init.zeros_(self.gaussian.bias)

    def forward(
        self,
        features: Float[Tensor, "movies frames features"],
        interval: Float[Tensor, "movies frames"],
        mask: Bool[Tensor, "movies frames"],
        noise: Float[Tensor, "movies frames latent"],
    ) -> LatentPath:
        """See `Encoder.forward`."""
        known = unpacked(features, self.latent_dim).estimate if self.linear else features
        parameters = self.direct(known) + self.gaussian(torch.tanh(self.hidden(known)))
        conditional = _gaussian(parameters)
        return LatentPath(conditional.sample(noise), conditional)


class Combiner(nn.Module):
    """q(z_t | z_{t−1}, h_left, h_right, x_t): what the movie says on top of what the frame itself says.

    The structured inference network ST-LR of Krishnan et al. 2017 (Sec. 4), tanh(W z_{t−1} + b) averaged
    with the states of both RNN directions, and besides it a direct way for the frame's own features, so
    that the rest learns a correction.
    """

    def __init__(self, features: int, latent_dim: int, width: int) -> None:
        super().__init__()
        self.from_previous = nn.Linear(latent_dim, width)
        self.gaussian = nn.Linear(width, 2 * latent_dim)
        self.direct = _direct(features, latent_dim)
        nn.init.zeros_(self.gaussian.weight)
        nn.init.zeros_(self.gaussian.bias)

    def forward(
        self,
        previous: Float[Tensor, "movies latent"],
        states: Float[Tensor, "movies width"],
        features: Float[Tensor, "movies features"],
    ) -> DiagonalGaussian:
        """`states` is the sum of the forward and backward RNN states, `features` those of frame t."""
        joined = (torch.tanh(self.from_previous(previous)) + states) / 3
        return _gaussian(self.gaussian(joined) + self.direct(features))


class TemporalEncoder(Encoder):
    """E_ψ1(z_t | z_{t−1}, X_{1:T}): a bidirectional GRU over the movie and a `Combiner` (paper, Eq. 13).

    On `SubspaceFeatures` (`linear`) an exact smoother with relaxation times of its own, in usual frame
    intervals, goes before the GRU: itself a linear recurrence in both directions, of which the GRU then
    learns the correction. It starts as that smoother, with z_t independent of z_{t−1}.

    Without `smoothing` both look back only: E(z_t | z_{t−1}, X_{1:t}).
    """

    def __init__(
        self, features: int, latent_dim: int, width: int, linear: bool, smoothing: bool = True
    ) -> None:
        super().__init__()
        self.latent_dim, self.linear, self.smoothing, self.width = latent_dim, linear, smoothing, width
        known = 2 * latent_dim if linear else features
        inputs = 4 * latent_dim if linear else features
        self.log_relaxation_time = nn.Parameter(torch.zeros(latent_dim), requires_grad=linear)
        self.recurrent = nn.GRU(inputs + 1, width, batch_first=True, bidirectional=smoothing)
        self.combiner = Combiner(known, latent_dim, width)
        self.first = nn.Parameter(torch.zeros(latent_dim))
        """z₀, learned."""

    def forward(
        self,
        features: Float[Tensor, "movies frames features"],
        interval: Float[Tensor, "movies frames"],
        mask: Bool[Tensor, "movies frames"],
        noise: Float[Tensor, "movies frames latent"],
    ) -> LatentPath:
        """See `Encoder.forward`."""
        known = inputs = features
        if self.linear:
            frame = unpacked(features, self.latent_dim)
            told = (frame.matrix, frame.vector, interval, self.log_relaxation_time.exp(), mask)
            if self.smoothing:
                states = smooth(*told)
                mean, covariance = states.mean, states.covariance
            else:
                mean, covariance = filtered(*told)
            known = torch.cat((mean, covariance.diagonal(dim1=-2, dim2=-1).log()), dim=-1)
            inputs = torch.cat((frame.estimate, known), dim=-1)
        waited = torch.log1p(interval.masked_fill(torch.isinf(interval), 0.0))
        inputs = torch.cat((inputs, waited[..., None]), dim=-1)
        packed = pack_padded_sequence(inputs, mask.sum(-1).cpu(), batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(
            self.recurrent(packed)[0], batch_first=True, total_length=features.shape[1]
        )
        joined = hidden.reshape(*hidden.shape[:2], -1, self.width).sum(-2)
        previous = self.first.expand(len(features), -1)
        samples, means, log_variances = [], [], []
        for t in range(features.shape[1]):
            step = self.combiner(previous, joined[:, t], known[:, t])
            previous = step.sample(noise[:, t])
            samples.append(previous)
            means.append(step.mean)
            log_variances.append(step.log_variance)
        conditional = DiagonalGaussian(torch.stack(means, 1), torch.stack(log_variances, 1))
        return LatentPath(torch.stack(samples, 1), conditional)


def _direct(known: int, latent_dim: int) -> nn.Linear:
    """The direct way from what is known to the Gaussian's parameters; the identity where both are alike."""
    layer = nn.Linear(known, 2 * latent_dim, bias=False)
    if known == 2 * latent_dim:
        nn.init.eye_(layer.weight)
    return layer
