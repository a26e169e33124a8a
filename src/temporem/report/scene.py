"""Volumes seen from one side, at one scale: so that what differs between their pictures is the molecule."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.report.surfaces import render_surface, telling_view

__all__ = ["Scene", "scene_of"]


@dataclass(frozen=True, eq=False)
class Scene:
    """From where volumes are seen, and how near."""

    view: Float[Tensor, "3 3"]
    zoom: float

    def draw(
        self, volume: Float[Tensor, "n n n"], level: float, colour: tuple[float, float, float], size: int
    ) -> npt.NDArray[np.uint8]:
        """Picture (size, size, RGBA) of the volume's surface at this level."""
        return render_surface(volume, level, self.view, colour, size, self.zoom)


def scene_of(
    first: Float[Tensor, "n n n"], last: Float[Tensor, "n n n"], shown: Iterable[Float[Tensor, "n n n"]]
) -> Scene:
    """The side from which these two look most different, as near as leaves room for all that is shown.

    `shown` are volumes less their contour level: what is above zero must stay in the picture.
    """
    n = len(first)
    inside = torch.zeros_like(first, dtype=torch.bool)
    for volume in shown:
        inside |= volume > 0
    distance = (inside.nonzero() - n // 2).float().norm(dim=1)
    # The surface may lie up to a voxel further out.
    reach = (float(distance.max()) + 1) / (n / 2) if len(distance) else 1.0
    return Scene(telling_view(first, last), max(1.0, 0.9 / max(reach, 0.2)))
