"""Where the canonical density is, and in which state it is begun."""

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

__all__ = ["canonical_support", "fullest_state"]

_SHARE_OF_PEAK = 0.2
"""Of the density: less is taken for solvent."""
_SMALLEST_COMPONENT = 0.03
"""Of the largest component's mass."""
_DILATION, _EDGE = 1.0, 1.5
"""Of the support, in pixels."""
_FULLER = 1.1
"""Than the state in the middle: a molecule that only moves is as large in all states, within hundredths."""


def canonical_support(volume: Float[Tensor, "n n n"], mask: Float[Tensor, "n n n"]) -> Float[Tensor, "n n n"]:
    """Where the molecule is in one state's volume, with a soft edge; nothing beyond the mask."""
    smooth = ndimage.gaussian_filter(volume.cpu().double().numpy(), 1.0)
    labels, count = ndimage.label(smooth > _SHARE_OF_PEAK * smooth.max())
    mass = ndimage.sum_labels(smooth, labels, np.arange(1, count + 1))
    core = np.isin(labels, 1 + np.flatnonzero(mass > _SMALLEST_COMPONENT * mass.max()))
    beyond = (ndimage.distance_transform_edt(~core) - _DILATION) / _EDGE
    edge = torch.from_numpy(0.5 + 0.5 * np.cos(np.pi * np.clip(beyond, 0, 1))).to(volume)
    return torch.where((edge > 0.02) & (mask > 0), edge, 0)


def fullest_state(volumes: Float[Tensor, "states n n n"], middle: int) -> int:
    """The state to begin in: the one in the middle, unless the molecule is larger in another.

    What is not there in the beginning can never appear; a motion is shortest from the middle.
    """
    smooth = np.stack([ndimage.gaussian_filter(x, 1.0) for x in volumes.cpu().double().numpy()])
    size = (smooth > _SHARE_OF_PEAK * smooth[middle].max()).sum(axis=(1, 2, 3))
    return int(size.argmax()) if size.max() > _FULLER * size[middle] else middle
