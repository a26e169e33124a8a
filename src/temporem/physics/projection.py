"""Projection along the beam: central slices of a volume's transform, their adjoint, and real space.

Convention: rotation A takes a point p of the molecule to A p + t, and the image is the plain sum over z of
the turned volume. By the central slice theorem (Eq. 2) a frame is, in Fourier space,
X(kx, ky) = CTF(k) · exp(−2πi k·t / n) · V̂(Aᵀ (kx, ky, 0)).
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

__all__ = [
    "add_mates",
    "add_slices",
    "central_slices",
    "corners",
    "insert_slices",
    "project",
    "slice_coordinates",
]

# Points interpolated at a time: bounds the memory that their eight corners take to some tens of MB.
CHUNK = 2**17


def slice_coordinates(
    rotation: Float[Tensor, "*batch 3 3"], frequency: Float[Tensor, "coefficients 2"]
) -> Float[Tensor, "*batch coefficients 3"]:
    """Where in the volume's transform a slice lies: Aᵀ (kx, ky, 0), in the unit of the frequencies.

    Not a matrix product: those lose all but 8 or 11 bits under autocast or in TF32, too few for a coordinate.
    """
    kx, ky = frequency.unbind(-1)
    first, second, _ = rotation.to(frequency.dtype)[..., None].unbind(-3)
    return (kx * first + ky * second).mT


def central_slices(
    grid: Complex[Tensor, "*#batch m m m//2+1"],
    rotation: Float[Tensor, "*batch 3 3"],
    frequency: Float[Tensor, "coefficients 2"],
    padding: int = 1,
) -> Complex[Tensor, "*batch coefficients"]:
    """V̂(Aᵀ (kx, ky, 0)) by trilinear interpolation; differentiable in the grid and in the rotation.

    `grid` is a half grid of `volumes.volume_to_fourier`, made with the same `padding`: one for all rotations
    (m, m, m // 2 + 1) or one for each; `frequency` is (kx, ky) in cycles per box. Divide the volume by
    `gridding_correction` first; what lies r from the centre then still errs by its aliases, (r / m)² of it.

    Raises ValueError for frequencies beyond Nyquist, and for grids that are neither one nor one per rotation.
    """
    size, batch = grid.shape[-2], rotation.shape[:-2]
    _check_within_nyquist(frequency, size, padding)
    rotation = rotation.reshape(-1, 3, 3)
    shared = grid.shape[:-3].numel() == 1
    if not shared and grid.shape[:-3] != batch:
        raise ValueError(f"grids {tuple(grid.shape)} must be one, or one for each of the rotations {batch}")
    values, points = grid.reshape(-1), grid.shape[-3:].numel()
    slices = []
    for rows in _chunks(len(rotation), len(frequency)):
        index, weight, mirrored = corners(rotation[rows], frequency, size, padding)
        if not shared:
            index = index + points * torch.arange(rows.start, rows.stop, device=index.device)[:, None]
        value = (weight * values[index]).sum(dim=0)
        slices.append(torch.where(mirrored, value.conj(), value))
    return torch.cat(slices).reshape(*batch, len(frequency))


def insert_slices(
    values: Complex[Tensor, "*batch coefficients"],
    weights: Float[Tensor, "*batch coefficients"],
    rotation: Float[Tensor, "*batch 3 3"],
    frequency: Float[Tensor, "coefficients 2"],
    box_size: int,
    padding: int = 1,
) -> tuple[Complex[Tensor, "m m m//2+1"], Float[Tensor, "m m m//2+1"]]:
    """Back-projection: two half grids, the `values` and the `weights` of all slices summed into each.

    The values are summed as they are: for a least-squares volume pass CTF · X / σ² (shifts undone) as values
    and CTF² / σ² as weights, and divide the first grid by the second (plus a regulariser).

    The first is the adjoint Sᵀ of `central_slices` S, both taken over the whole disc and the whole grid: each
    coefficient of the half-disc is inserted together with its Hermitian mate. So, for the transform G of any
    real volume, Σ m_c Re(x̄ S G)_c = Σ m_g Re(Ḡ Sᵀx)_g, the multiplicity m counting a point and its mate.

    Raises ValueError for frequencies beyond Nyquist.
    """
    size = padding * box_size
    shape = (size, size, size // 2 + 1)
    numerator, denominator = values.new_zeros(shape), weights.new_zeros(shape)
    add_slices(numerator, denominator, values, weights, rotation, frequency, padding)
    add_mates(numerator)
    add_mates(denominator)
    return numerator, denominator


def add_slices(
    numerator: Complex[Tensor, "m m m//2+1"],
    denominator: Float[Tensor, "m m m//2+1"],
    values: Complex[Tensor, "*batch coefficients"],
    weights: Float[Tensor, "*batch coefficients"],
    rotation: Float[Tensor, "*batch 3 3"],
    frequency: Float[Tensor, "coefficients 2"],
    padding: int,
) -> None:
    """Add slices to the grids of `insert_slices`, in place; after the last of them, `add_mates`."""
    size = len(numerator)
    _check_within_nyquist(frequency, size, padding)
    # The origin is its own mate, which `add_mates` adds to it once more.
    share = torch.where((frequency == 0).all(dim=-1), 0.5, 1.0)
    rotation = rotation.reshape(-1, 3, 3)
    values, weights = (x.mul(share).reshape(-1, len(frequency)) for x in (values, weights))
    for rows in _chunks(len(rotation), len(frequency)):
        index, weight, mirrored = corners(rotation[rows], frequency, size, padding)
        value = torch.where(mirrored, values[rows].conj(), values[rows])
        numerator.view(-1).index_add_(0, index.flatten(), (weight * value).flatten())
        denominator.view(-1).index_add_(0, index.flatten(), (weight * weights[rows]).flatten())


def project(
    volume: Float[Tensor, "n n n"],
    rotation: Float[Tensor, "batch 3 3"],
    translation_in_pixels: Float[Tensor, "batch 2"],
) -> Float[Tensor, "batch n n"]:
    """Σ_z V(Aᵀ(r − t)), by trilinear resampling in real space: the second way to the same clean image.

    Resampling blurs, so it is for checks and smooth volumes. What turns out of the box is lost.
    """
    n = volume.shape[-1]
    axis = torch.arange(n, dtype=volume.dtype, device=volume.device) - n // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    images = []
    for turn, (tx, ty) in zip(rotation.to(volume.dtype), translation_in_pixels, strict=True):
        # Row vectors times A: Aᵀ (r − t).
        position = (torch.stack((x - tx, y - ty, z), dim=-1)[..., None] * turn).sum(dim=-2)
        # `grid_sample` counts from −1 at the first voxel's centre to 1 at the last's.
        sample = 2 * (position + n // 2) / (n - 1) - 1
        turned = torch.nn.functional.grid_sample(volume[None, None], sample[None], align_corners=True)
        images.append(turned[0, 0].sum(dim=0))
    return torch.stack(images)


def _check_within_nyquist(frequency: Float[Tensor, "coefficients 2"], size: int, padding: int) -> None:
    if bool((2 * padding * frequency.norm(dim=-1) > size + 1e-3).any()):
        raise ValueError(f"frequencies must lie within Nyquist, {size / (2 * padding):g} cycles per box")


def _chunks(rotations: int, coefficients: int) -> Iterator[slice]:
    length = max(1, CHUNK // coefficients)
    # At least one, however empty, so that results of no slices have a shape.
    return (slice(i, min(i + length, rotations)) for i in range(0, max(1, rotations), length))


def corners(
    rotation: Float[Tensor, "batch 3 3"],
    frequency: Float[Tensor, "coefficients 2"],
    size: int,
    padding: int,
    row_start: Int[Tensor, " rows"] | None = None,
) -> tuple[
    Int[Tensor, "8 batch coefficients"],
    Float[Tensor, "8 batch coefficients"],
    Bool[Tensor, "batch coefficients"],
]:
    """The eight points of a half grid (m, m, m // 2 + 1), m = `size`, around each point of each slice.

    Their index into the flattened grid, their trilinear weights, and whether the point's mate −k was taken:
    it is where kx < 0, and the value there is the conjugate. Where not all points of a grid are kept,
    `row_start` says where each of its rows (kz, ky) begins.
    """
    point = padding * slice_coordinates(rotation, frequency)
    mirrored = point[..., :1] < 0
    point = torch.where(mirrored, -point, point)
    lower = point.detach().floor()
    # Rounding may carry a point at Nyquist past the last plane.
    lower[..., 0].clamp_(max=size // 2 - 1)
    fraction = (point - lower).unbind(-1)
    x, y, z = (torch.stack((i, i + 1)) for i in lower.long().unbind(-1))
    wx, wy, wz = (torch.stack((1 - f, f)) for f in fraction)
    y, z = (torch.where(i < 0, i + size, i) for i in (y, z))
    row = z[:, None] * size + y
    start = row * (size // 2 + 1) if row_start is None else row_start[row]
    index = (start[:, :, None] + x).flatten(0, 2)
    weight = ((wz[:, None] * wy)[:, :, None] * wx).flatten(0, 2)
    return index, weight, mirrored.squeeze(-1)


def add_mates(grid: Tensor) -> None:
    """Add in place what fell on mates, where a plane holds both a point and its mate: kx = 0 and m / 2."""
    for plane in (0, grid.shape[-1] - 1):
        mates = grid[..., plane].flip(0, 1).roll((1, 1), (0, 1)).conj()
        grid[..., plane] = grid[..., plane] + mates
