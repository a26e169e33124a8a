"""The implicit neural fields that carry a molecule from its canonical state to any other."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["DeformationField", "OccupancyField"]

ENCODED_LENGTH_IN_ANGSTROMS = 60.0
"""Positions enter as sines of random waves, this long over 2π: a field is smooth to begin with."""
SCALE_IN_ANGSTROMS = 48.0
"""Of positions as they enter beside the waves."""
UNIT_IN_ANGSTROMS = 3.0
"""Of the modes of a deformation: what makes the network's outputs of order one."""
STATE_WIDTH = 64
FIRST_SHARE = 0.3
"""Of the last layer's usual weights at the start of a deformation: motions begin small."""


class SeparableField(nn.Module):
    """f(x, z) = Σ_b φ_b(x) c_b(z), φ and c multilayer perceptrons.

    The modes φ_b depend on where alone and the amounts c_b on the state alone, so that all frames share the
    costly part.
    """

    waves: Tensor

    def __init__(
        self,
        latent_dim: int,
        components: int,
        modes: int,
        width: int,
        first_share: float,
        generator: torch.Generator,
    ) -> None:
        """`components` of a value; `first_share` of the last layer's usual weights of φ at the start."""
        super().__init__()
        self.components, self.modes = components, modes
        waves = torch.randn(3, width // 2, generator=generator) / ENCODED_LENGTH_IN_ANGSTROMS
        self.register_buffer("waves", waves)
        self.where = nn.Sequential(
            nn.Linear(2 * (width // 2) + 3, width), nn.SiLU(), nn.Linear(width, components * modes)
        )
        self.state = nn.Sequential(
            nn.Linear(latent_dim, STATE_WIDTH),
            nn.SiLU(),
            nn.Linear(STATE_WIDTH, STATE_WIDTH),
            nn.SiLU(),
            nn.Linear(STATE_WIDTH, modes),
        )
        last = self.where[-1]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            last.weight.mul_(first_share)  # type: ignore[operator]

    def shapes(self, position: Float[Tensor, "points 3"]) -> Float[Tensor, "points components modes"]:
        """φ at positions (x, y, z) in Å from the box's centre."""
        phase = position @ self.waves
        encoded = torch.cat((phase.sin(), phase.cos(), position / SCALE_IN_ANGSTROMS), dim=-1)
        shapes: Tensor = self.where(encoded).unflatten(-1, (self.components, self.modes))
        return shapes

    def amounts(self, z: Float[Tensor, "states latent"]) -> Float[Tensor, "states modes"]:
        """c at standardised states."""
        amounts: Tensor = self.state(z)
        return amounts


class DeformationField(SeparableField):
    """Displacements u(x, z). A rigid turn about an axis takes two modes (sine and one minus cosine)."""

    def __init__(self, latent_dim: int, modes: int, width: int, generator: torch.Generator) -> None:
        super().__init__(latent_dim, 3, modes, width, FIRST_SHARE, generator)

    def shapes(self, position: Float[Tensor, "points 3"]) -> Float[Tensor, "points 3 modes"]:
        """φ at positions (x, y, z) in Å from the box's centre, in Å for an amount of one."""
        return super().shapes(position) * UNIT_IN_ANGSTROMS

    def forward(
        self, position: Float[Tensor, "points 3"], z: Float[Tensor, "states latent"]
    ) -> Float[Tensor, "states points 3"]:
        """Displacements in Å."""
        return torch.einsum("pdb,sb->spd", self.shapes(position), self.amounts(z))


class OccupancyField(SeparableField):
    """Change of occupancy ω(x, z): a density of 1 + ω for 1. It begins as 0."""

    def __init__(self, latent_dim: int, modes: int, width: int, generator: torch.Generator) -> None:
        super().__init__(latent_dim, 1, modes, width, 0.0, generator)

    def forward(
        self, position: Float[Tensor, "points 3"], z: Float[Tensor, "states latent"]
    ) -> Float[Tensor, "states points"]:
        """ω at positions (x, y, z) in Å from the box's centre."""
        return self.amounts(z) @ self.shapes(position)[:, 0].mT
