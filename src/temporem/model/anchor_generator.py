"""Volumes known at a few latent states, and interpolated between them."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from temporem.model.generators import Generator
from temporem.physics.volume_families import family_grid, family_slices

__all__ = ["AnchorGenerator"]

_PADDING = 2


class AnchorGenerator(Generator):
    """G(z) = Σ_a w_a(z) V_a, w_a ∝ exp(−½ |z − z_a|²_M / h²), Σ_a w_a = 1 (Nadaraya 1964, Watson 1964).

    The anchors z_a, their volumes V_a, the metric M of the latent space and the bandwidth h are given, not
    trained: locally weighted back-projections along the latent path. Slices are cut from the anchors' Fourier
    grids by trilinear interpolation. Until `place`, the volumes are zero.
    """

    anchors: Tensor
    volumes_at_anchors: Tensor
    metric: Tensor
    bandwidth: Tensor

    def __init__(self, box_size: int, latent_dim: int, count: int) -> None:
        super().__init__()
        self.box_size, self.latent_dim = box_size, latent_dim
        n = box_size
        self.register_buffer("anchors", torch.zeros(count, latent_dim))
        self.register_buffer("volumes_at_anchors", torch.zeros(count, n, n, n))
        self.register_buffer("metric", torch.eye(latent_dim))
        self.register_buffer("bandwidth", torch.ones(()))
        self._grid: Tensor | None = None

    def place(
        self,
        anchors: Float[Tensor, "anchors latent"],
        volumes: Float[Tensor, "anchors n n n"],
        metric: Float[Tensor, "latent latent"],
        bandwidth: float,
    ) -> None:
        """Set what is interpolated: volumes [z, y, x] at anchors, the weights' metric and bandwidth."""
        self.anchors.copy_(anchors)
        self.volumes_at_anchors.copy_(volumes)
        self.metric.copy_(metric)
        self.bandwidth.fill_(bandwidth)
        self._grid = None

    def weights(self, z: Float[Tensor, "states latent"]) -> Float[Tensor, "states anchors"]:
        """w_a(z), which sum to 1."""
        difference = z[:, None] - self.anchors
        squared = torch.einsum("sai,ij,saj->sa", difference, self.metric, difference)
        return torch.softmax(-0.5 * squared / self.bandwidth**2, dim=-1)

    def slices(
        self,
        z: Float[Tensor, "frames latent"],
        rotation: Float[Tensor, "frames 3 3"],
        frequency: Float[Tensor, "coefficients 2"],
    ) -> Complex[Tensor, "frames coefficients"]:
        """Central slices; see `Generator.slices`."""
        if self._grid is None or self._grid.device != z.device:
            self._grid = family_grid(self.volumes_at_anchors, _PADDING)
        parts = torch.view_as_real(family_slices(self._grid, rotation, frequency, self.box_size, _PADDING))
        return torch.view_as_complex(torch.einsum("fcap,fa->fcp", parts, self.weights(z)).contiguous())

    def volumes(self, z: Float[Tensor, "states latent"]) -> Float[Tensor, "states n n n"]:
        """Volumes [z, y, x]; see `Generator.volumes`."""
        return torch.einsum("sa,azyx->szyx", self.weights(z), self.volumes_at_anchors)

    def describe(self) -> dict[str, Any]:
        """See `Generator.describe`."""
        count = len(self.anchors)
        return {"kind": "anchors", "box_size": self.box_size, "latent_dim": self.latent_dim, "count": count}

    @classmethod
    def from_description(
        cls, description: dict[str, Any], build: Callable[[dict[str, Any]], Generator]
    ) -> "AnchorGenerator":
        """See `Generator.from_description`."""
        return cls(description["box_size"], description["latent_dim"], description["count"])

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:
        self._grid = None
        super()._load_from_state_dict(*arguments, **options)
