"""Volumes known at a few latent states, and interpolated between them."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from temporem.model.generators import Generator
from temporem.physics.projection import central_slices
from temporem.physics.volume_families import family_grid, family_points, family_slices
from temporem.physics.volumes import PADDING, fourier_resize, slicing_grid

__all__ = ["AnchorGenerator", "state_box"]

LARGEST_STATE_BOX = 128
"""Box in which the anchors' volumes differ; 32 grids to slice them from take 1.2 GB."""


class AnchorGenerator(Generator):
    """G(z) = Σ_a w_a(z) V_a, w_a ∝ exp(−½ |z − z_a|²_M / h²), Σ_a w_a = 1 (Nadaraya 1964, Watson 1964).

    The anchors z_a, their volumes V_a, the metric M of the latent space and the bandwidth h are given, not
    trained: locally weighted back-projections along the latent path. Slices are cut from the anchors' Fourier
    grids by trilinear interpolation. Until `place`, the volumes are zero.

    In boxes above 128 pixels the V_a differ in the frequencies of a box of 128 only, |k| < 64 cycles per box;
    beyond, they share one volume's: memory stays bounded, and the number of anchors what it is.
    """

    anchors: Tensor
    volumes_at_anchors: Tensor
    beyond: Tensor | None
    metric: Tensor
    bandwidth: Tensor

    def __init__(self, box_size: int, latent_dim: int, count: int) -> None:
        super().__init__()
        self.box_size, self.latent_dim = box_size, latent_dim
        self.state_box = n = state_box(box_size)
        self.register_buffer("anchors", torch.zeros(count, latent_dim))
        self.register_buffer("volumes_at_anchors", torch.zeros(count, n, n, n))
        shared = None if n == box_size else torch.zeros(box_size, box_size, box_size)
        self.register_buffer("beyond", shared)
        self.register_buffer("metric", torch.eye(latent_dim))
        self.register_buffer("bandwidth", torch.ones(()))
        self._grid: Tensor | None = None
        self._grid_beyond: Tensor | None = None

    def place(
        self,
        anchors: Float[Tensor, "anchors latent"],
        volumes: Float[Tensor, "anchors m m m"],
        metric: Float[Tensor, "latent latent"],
        bandwidth: float,
        shared: Float[Tensor, "n n n"] | None = None,
    ) -> None:
        """Set what is interpolated: volumes [z, y, x] of the `state_box` at anchors, the weights' metric and
        bandwidth, and in larger boxes the volume whose higher frequencies all share (None: they are zero)."""
        self.anchors.copy_(anchors)
        self.volumes_at_anchors.copy_(volumes)
        self.metric.copy_(metric)
        self.bandwidth.fill_(bandwidth)
        if self.beyond is not None and shared is not None:
            low = fourier_resize(fourier_resize(shared, self.state_box), self.box_size)
            self.beyond.copy_(shared - low)
        self._forget_grids()

    def fill(self, volume: Float[Tensor, "n n n"]) -> None:
        """Set one volume for all states."""
        low = fourier_resize(volume, self.state_box).expand_as(self.volumes_at_anchors)
        self.place(self.anchors, low, self.metric, 1.0, volume)

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
        if self.beyond is None:
            return self._low_slices(z, rotation, frequency)
        if self._grid_beyond is None:
            self._grid_beyond = slicing_grid(self.beyond)
        within = (frequency.norm(dim=-1) < self.state_box / 2).nonzero().squeeze(-1)
        slices = central_slices(self._grid_beyond, rotation, frequency, PADDING)
        return slices.index_add(1, within, self._low_slices(z, rotation, frequency[within]))

    def _low_slices(
        self,
        z: Float[Tensor, "frames latent"],
        rotation: Float[Tensor, "frames 3 3"],
        frequency: Float[Tensor, "coefficients 2"],
    ) -> Complex[Tensor, "frames coefficients"]:
        parts = family_slices(self._anchor_grid(), rotation, frequency, self.state_box, PADDING)
        mixed = torch.einsum("fcap,fa->fcp", torch.view_as_real(parts), self.weights(z))
        return torch.view_as_complex(mixed.contiguous())

    def _anchor_grid(self) -> Float[Tensor, "points twice"]:
        if self._grid is None:
            count, points = len(self.anchors), family_points(self.state_box, PADDING)
            self._grid = self.volumes_at_anchors.new_empty(points, 2 * count)
            # One by one: the transforms of all at once would take several times their grid.
            for index, volume in enumerate(self.volumes_at_anchors):
                self._grid[:, 2 * index : 2 * index + 2] = family_grid(volume[None], PADDING)
        return self._grid

    def _forget_grids(self) -> None:
        self._grid = self._grid_beyond = None

    def volumes(self, z: Float[Tensor, "states latent"]) -> Float[Tensor, "states n n n"]:
        """Volumes [z, y, x]; see `Generator.volumes`."""
        low = torch.einsum("sa,azyx->szyx", self.weights(z), self.volumes_at_anchors)
        return low if self.beyond is None else fourier_resize(low, self.box_size) + self.beyond

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
        self._forget_grids()
        super()._load_from_state_dict(*arguments, **options)

    def _apply(self, *arguments: Any, **options: Any) -> "AnchorGenerator":
        self._forget_grids()
        applied: AnchorGenerator = super()._apply(*arguments, **options)  # type: ignore[no-untyped-call]
        return applied


def state_box(box_size: int) -> int:
    """Box of the anchors' volumes, in images of this box."""
    return min(box_size, LARGEST_STATE_BOX)
