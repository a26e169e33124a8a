"""A volume drawn as a lit surface, as a microscopist expects to see it."""

import math

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

__all__ = ["level_enclosing", "random_views", "render_surface", "telling_view"]

LIGHT = (-0.45, -0.6, -0.66)
"""Direction towards the lamp (x right, y down, z away from the eye): above the viewer's left shoulder."""


def level_enclosing(volume: Float[Tensor, "n n n"], voxels: int) -> float:
    """Contour level above which `voxels` voxels of the volume lie: equal sizes make surfaces comparable."""
    ordered = volume.flatten().sort(descending=True).values
    return float(ordered[min(max(voxels, 1), len(ordered)) - 1])


def render_surface(
    volume: Float[Tensor, "n n n"],
    level: float,
    view: Float[Tensor, "3 3"],
    colour: tuple[float, float, float],
    size: int = 240,
    zoom: float = 1.0,
) -> npt.NDArray[np.uint8]:
    """Draw the surface where the volume crosses `level`, seen along z once turned by `view`: (size, size, 4).

    Parallel rays; the first crossing along each is found by linear interpolation, the normal is the gradient
    there. The channels are red, green, blue and cover: outside the surface the picture is transparent. `zoom`
    2 shows the middle half of the box. Only the turned box is looked at, so density beyond the inscribed
    sphere may be cut off.
    """
    along = torch.linspace(-1, 1, len(volume))
    # Most rays miss: a quarter of the resolution, grown by one ray, tells which need looking at.
    coarse = _rays(size // 2, zoom)
    maximum = _sample(volume, _along_rays(coarse, along, view)).amax(dim=0)
    near = functional.max_pool2d((maximum > level).float()[None, None], 3, stride=1, padding=1)
    near = functional.interpolate(near, scale_factor=4.0)[0, 0] > 0
    rays = _rays(2 * (size // 2) * 2, zoom)[near]
    planes = _sample(volume, _along_rays(rays, along, view))
    inside = planes > level
    first = inside.to(torch.uint8).argmax(dim=0).clamp(min=1)
    here = planes.gather(0, first[None])[0]
    before = planes.gather(0, first[None] - 1)[0]
    z = along[first - 1] + ((level - before) / (here - before).clamp(min=1e-12)).clamp(0, 1) * (
        along[1] - along[0]
    )
    points = torch.cat((rays, z[:, None]), dim=-1) @ view
    gradient = torch.stack([_sample(x, points) for x in reversed(torch.gradient(volume))], dim=-1)
    # The density falls outwards, so the outward normal is minus the gradient.
    normal = -functional.normalize(gradient @ view.T, dim=-1)
    picture = torch.zeros((*near.shape, 4))
    picture[near] = _shade(normal, z, torch.tensor(colour), inside.any(dim=0).float())
    # Averaging fours of rays smooths the outline; colours weighted by their cover do not darken it.
    small = functional.avg_pool2d(picture.permute(2, 0, 1)[None], 2)[0]
    small[:3] /= small[3:].clamp(min=1e-6)
    return (small.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


def random_views(count: int, seed: int) -> Float[Tensor, "count 3 3"]:
    """Rotations to look from, uniform, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    q, r = torch.linalg.qr(torch.randn(count, 3, 3, generator=generator))
    q = q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None, :]
    views: Tensor = q * torch.linalg.det(q)[:, None, None]
    return views


def telling_view(first: Float[Tensor, "n n n"], last: Float[Tensor, "n n n"]) -> Float[Tensor, "3 3"]:
    """Of 64 views, the one in which two states look most different: motion along the beam does not show."""
    difference = last - first
    n = len(first)
    grid = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, n)] * 3, indexing="ij")[::-1], dim=-1)
    views = random_views(64, seed=0)
    seen = torch.stack([_sample(difference, grid @ view).sum(dim=0).square().sum() for view in views])
    return views[seen.argmax()]


def _rays(count: int, zoom: float) -> Float[Tensor, "count count 2"]:
    """Where each ray of the picture crosses the plane of the box's centre, (x, y), at the pixels' centres."""
    span = ((torch.arange(count) + 0.5) / count * 2 - 1) / zoom
    return torch.stack((span[None, :].expand(count, count), span[:, None].expand(count, count)), dim=-1)


def _along_rays(
    rays: Float[Tensor, "*batch 2"], along: Float[Tensor, " depths"], view: Float[Tensor, "3 3"]
) -> Float[Tensor, "depths *batch 3"]:
    """Points of the rays at each depth, brought back from the turned frame into the volume's own."""
    depth = along.reshape(-1, *[1] * rays.ndim)
    return rays @ view[:2] + depth * view[2]


def _shade(
    normal: Float[Tensor, "rays 3"],
    z: Float[Tensor, " rays"],
    colour: Float[Tensor, "3"],
    cover: Float[Tensor, " rays"],
) -> Float[Tensor, "rays 4"]:
    """Premultiplied RGBA: light from all around, from the lamp and from the eye, dimmer with depth."""
    lit = (normal @ torch.tensor(LIGHT) / math.hypot(*LIGHT)).clamp(min=0)
    facing = (-normal[:, 2]).clamp(0, 1)
    shade = (0.3 + 0.25 * facing + 0.55 * lit) * (0.45 + 0.45 * (1 - z))
    rgb = (shade[:, None] * colour + 0.25 * lit[:, None] ** 24).clamp(0, 1)
    return torch.cat((rgb, torch.ones(len(rgb), 1)), dim=-1) * cover[:, None]


def _sample(volume: Float[Tensor, "n n n"], points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch"]:
    """Trilinear values at (x, y, z) points in units of half the box, zero outside."""
    values: Tensor = functional.grid_sample(
        volume[None, None], points.reshape(1, 1, 1, -1, 3), align_corners=True
    )
    return values.reshape(points.shape[:-1])
