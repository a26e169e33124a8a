"""The paper's generator: an implicit neural representation of the volume in Fourier space."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from temporem.model.devices import has_bfloat16
from temporem.model.encoding import CoordinateEncoding, EncodingKind
from temporem.model.generators import Generator
from temporem.physics.projection import slice_coordinates
from temporem.physics.volumes import fourier_to_volume, grid_frequency

__all__ = ["FourierGenerator", "FourierGeneratorConfig", "ResidualLayer"]

_EVALUATIONS_AT_ONCE = 1 << 12
"""States times coordinates: so few that a hidden layer's values stay in a processor's cache."""


@dataclass(frozen=True)
class FourierGeneratorConfig:
    """What a `FourierGenerator` is built from."""

    box_size: int
    latent_dim: int
    width: int = 256
    """Units in each hidden layer."""
    layers: int = 3
    """Residual hidden layers."""
    encoding: EncodingKind = "gaussian"


class ResidualLayer(nn.Module):
    """x + ReLU(W x + b)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Apply the layer to the last dimension."""
        return x + torch.relu(self.linear(x))


class FourierGenerator(Generator):
    """G_θ(z, k) = s(|k|) · MLP(γ(k), z) + G₀(z, k), evaluated in half of k-space, conjugated in the other.

    The MLP on coordinates is the paper's (Sec. 4.1; γ of Eq. 12). G₀ is an optional explicit generator, not
    trained, because an MLP alone fits high frequencies late; the MLP then learns what G₀ cannot express,
    and starts from zero. s is an amplitude per shell that makes all shells of order one to the MLP: 1 until
    `scale_to`.
    """

    amplitude: Tensor

    def __init__(
        self, config: FourierGeneratorConfig, generator: torch.Generator, base: Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.box_size, self.latent_dim = config.box_size, config.latent_dim
        self.encoding = CoordinateEncoding(config.box_size, config.encoding, generator)
        self.from_coordinates = nn.Linear(self.encoding.width, config.width)
        self.from_latents = nn.Linear(config.latent_dim, config.width, bias=False)
        self.hidden = nn.Sequential(*(ResidualLayer(config.width) for _ in range(config.layers)))
        self.output = nn.Linear(config.width, 2)
        self.base = base
        self.register_buffer("amplitude", torch.ones(config.box_size // 2 + 1))
        if base is not None:
            nn.init.zeros_(self.output.weight)
            nn.init.zeros_(self.output.bias)

    def scale_to(self, amplitude: Float[Tensor, " shells"]) -> None:
        """Set s, an amplitude per shell 0 … n // 2: of the order of a volume's coefficients there."""
        self.amplitude.copy_(amplitude)

    def coefficients(
        self, z: Float[Tensor, "states latent"], k: Float[Tensor, "#states coordinates 3"]
    ) -> Complex[Tensor, "states coordinates"]:
        """s(|k|) · MLP at coordinates k (cycles per box), a set for each state or for all: G_θ less G₀."""
        # One of ±k is evaluated, the other is its conjugate: volumes are real. The origin is its own mate.
        conjugate = (k[..., 0] < 0) | ((k[..., 0] == 0) & (k[..., 1] < 0))
        conjugate |= (k[..., 0] == 0) & (k[..., 1] == 0) & (k[..., 2] < 0)
        sign = torch.where(conjugate, -1.0, 1.0).to(k.dtype)
        imaginary_sign = sign.masked_fill((k == 0).all(dim=-1), 0.0)
        encoded = self.encoding(k * sign[..., None])
        with torch.autocast(z.device.type, torch.bfloat16, enabled=has_bfloat16(z.device)):
            hidden = self.from_coordinates(encoded) + self.from_latents(z)[:, None]
            output = self.output(self.hidden(torch.relu(hidden))).float()
        radius = k.norm(dim=-1).clamp(max=self.box_size // 2)
        lower = radius.long().clamp(max=self.box_size // 2 - 1)
        amplitude = torch.lerp(self.amplitude[lower], self.amplitude[lower + 1], radius - lower)
        return torch.complex(output[..., 0] * amplitude, output[..., 1] * amplitude * imaginary_sign)

    def slices(
        self,
        z: Float[Tensor, "frames latent"],
        rotation: Float[Tensor, "frames 3 3"],
        frequency: Float[Tensor, "coefficients 2"],
    ) -> Complex[Tensor, "frames coefficients"]:
        """Central slices; see `Generator.slices`."""
        slices = self.coefficients(z, slice_coordinates(rotation, frequency))
        return slices if self.base is None else slices + self.base.slices(z, rotation, frequency)

    @torch.no_grad()
    def volumes(self, z: Float[Tensor, "states latent"]) -> Float[Tensor, "states n n n"]:
        """Volumes [z, y, x]; see `Generator.volumes`."""
        n = self.box_size
        k = grid_frequency(n).to(z.device)
        # The Nyquist planes have no partner on the grid; what lies beyond the ball was never seen.
        inside = (k.norm(dim=-1) <= n // 2) & (k.abs() < n // 2).all(dim=-1)
        grid = torch.zeros((len(z), n, n, n // 2 + 1), dtype=torch.complex64, device=z.device)
        parts = torch.split(k[inside], max(1, _EVALUATIONS_AT_ONCE // max(1, len(z))))
        grid[:, inside] = torch.cat([self.coefficients(z, part[None]) for part in parts], dim=1)
        volumes = fourier_to_volume(grid)
        return volumes if self.base is None else volumes + self.base.volumes(z)

    def describe(self) -> dict[str, Any]:
        """See `Generator.describe`."""
        base = None if self.base is None else self.base.describe()
        return {"kind": "fourier", "config": asdict(self.config), "base": base}

    @classmethod
    def from_description(
        cls, description: dict[str, Any], build: Callable[[dict[str, Any]], Generator]
    ) -> "FourierGenerator":
        """See `Generator.from_description`."""
        base = None if description["base"] is None else build(description["base"])
        config = FourierGeneratorConfig(**description["config"])
        return cls(config, torch.Generator().manual_seed(0), base)
