"""What the rest of the system asks of a generator G_θ(z, ·), whatever it is made of."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from jaxtyping import Complex, Float
from torch import Tensor, nn

__all__ = ["Generator"]


class Generator(nn.Module, ABC):
    """A volume for every latent state.

    Scaled as in `physics.volumes`: a central slice is the orthonormal 2D transform of the projection.
    """

    box_size: int
    latent_dim: int

    @abstractmethod
    def slices(
        self,
        z: Float[Tensor, "frames latent"],
        rotation: Float[Tensor, "frames 3 3"],
        frequency: Float[Tensor, "coefficients 2"],
    ) -> Complex[Tensor, "frames coefficients"]:
        """Central slices of the volumes at z, across the beam for rotations A (a point p lands at A·p).

        `frequency` is (kx, ky) in cycles per box. No CTF, no shift.
        """

    @abstractmethod
    def volumes(self, z: Float[Tensor, "states latent"]) -> Float[Tensor, "states n n n"]:
        """Volumes [z, y, x] whose plain voxel sums along the beam are the images."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What `from_description` needs to build one like it, as JSON holds it.

        Its `kind` is the name in `store.KINDS`.
        """

    @classmethod
    @abstractmethod
    def from_description(
        cls, description: dict[str, Any], build: "Callable[[dict[str, Any]], Generator]"
    ) -> "Generator":
        """A generator of that description, its weights not yet set; `build` builds those inside it.

        Raises KeyError, TypeError or ValueError for what is no description.
        """
