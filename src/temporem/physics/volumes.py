"""Volumes and their transforms on half grids.

A half grid (m, m, m // 2 + 1) is laid out as `rfftn` returns it: [kz, ky, kx] with kz and ky in the order of
`fftfreq`, kx ≥ 0, and the origin at [0, 0, 0]. For a volume of n voxels an edge m = padding · n; points
are 1 / padding cycles per box apart. Scale: V̂(k) = (1/n) Σ_r V(r) exp(−2πi k·(r − n // 2) / n), for which a
central slice of V̂ *is* the orthonormal 2D transform of the projection (the plain sum of voxels along z).
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

__all__ = [
    "PADDING",
    "filtered",
    "fourier_resize",
    "fourier_to_volume",
    "grid_frequency",
    "grid_radius",
    "gridding_correction",
    "low_passed",
    "slicing_grid",
    "volume_to_fourier",
]

PADDING = 2
"""Of grids that slices are cut from and put into: enough, once the volume is freed of what is left."""
CUBE = (-3, -2, -1)


def volume_to_fourier(
    volume: Float[Tensor, "*batch n n n"], padding: int = 1
) -> Complex[Tensor, "*batch {padding}*n {padding}*n {padding}*n//2+1"]:
    """Half grids of real volumes of even n, zero-padded to `padding` times their edge."""
    n = volume.shape[-1]
    # Each axis is padded just before its own transform, so that lines of zeros are never transformed.
    transform: Tensor = torch.fft.rfft(_padded(volume, -1, padding * n), dim=-1)
    for axis in (-2, -3):
        transform = torch.fft.fft(_padded(transform, axis, padding * n), dim=axis)
    return transform / n


def fourier_to_volume(
    grid: Complex[Tensor, "*batch m m m//2+1"], padding: int = 1
) -> Float[Tensor, "*batch m//{padding} m//{padding} m//{padding}"]:
    """Real volumes of half grids, cropped to the unpadded box: the inverse of `volume_to_fourier`."""
    m = grid.shape[-2]
    n = m // padding
    for axis in (-3, -2):
        grid = _cropped(torch.fft.ifft(grid, dim=axis), axis, n)
    return _cropped(torch.fft.irfft(grid, n=m, dim=-1), -1, n) * n


def _padded(x: Tensor, axis: int, size: int) -> Tensor:
    """Zero-padded along an axis, and rolled so that the centre comes first."""
    n = x.shape[axis]
    shape = list(x.shape)
    shape[axis] = size - n
    ahead, behind = x.narrow(axis, n // 2, n - n // 2), x.narrow(axis, 0, n // 2)
    return torch.cat((ahead, x.new_zeros(shape), behind), axis)


def _cropped(x: Tensor, axis: int, n: int) -> Tensor:
    """What `_padded` was given."""
    return torch.cat((x.narrow(axis, x.shape[axis] - n // 2, n // 2), x.narrow(axis, 0, n - n // 2)), axis)


def grid_frequency(box_size: int, padding: int = 1) -> Float[Tensor, "m m m//2+1 3"]:
    """(kx, ky, kz) of every half-grid point, in cycles per (unpadded) box."""
    m = padding * box_size
    whole: Tensor = torch.fft.fftfreq(m, 1 / m) / padding
    half: Tensor = torch.fft.rfftfreq(m, 1 / m) / padding
    kz, ky, kx = torch.meshgrid(whole, whole, half, indexing="ij")
    return torch.stack((kx, ky, kz), dim=-1)


def grid_radius(box_size: int, padding: int = 1) -> Float[Tensor, "m m m//2+1"]:
    """|k| of every half-grid point, in cycles per (unpadded) box."""
    m = padding * box_size
    whole: Tensor = (torch.fft.fftfreq(m, 1 / m) / padding).square()
    half: Tensor = (torch.fft.rfftfreq(m, 1 / m) / padding).square()
    return (whole[:, None, None] + whole[:, None] + half).sqrt()


def filtered(
    volumes: Float[Tensor, "... n n n"], weight: Float[Tensor, "... n n n//2+1"]
) -> Float[Tensor, "... n n n"]:
    """Volumes whose transforms are multiplied by real weights at every half-grid point; batches broadcast."""
    found: Tensor = torch.fft.irfftn(
        torch.fft.rfftn(volumes, dim=CUBE) * weight, s=volumes.shape[-3:], dim=CUBE
    )
    return found


def low_passed(volumes: Float[Tensor, "*batch n n n"], radius: float) -> Float[Tensor, "*batch n n n"]:
    """Volumes up to `radius` cycles per box, with an edge that falls from 1 to 0 over two about it."""
    return filtered(volumes, ((radius + 1 - grid_radius(volumes.shape[-1])) / 2).clamp(0, 1))


def fourier_resize(volume: Float[Tensor, "*batch n n n"], size: int) -> Float[Tensor, "*batch m m m"]:
    """Volumes of even n brought to an even `size` by cropping or padding their transforms.

    The field of view and the values of V̂ stay, and with them the slices.
    """
    n = volume.shape[-1]
    if size == n:
        return volume
    half = min(size, n) // 2
    kept = torch.cat((torch.arange(half), torch.arange(-half, 0))).to(volume.device)
    core = volume_to_fourier(volume)[..., : half + 1][..., kept, :][..., kept, :, :]
    if size < n:
        return fourier_to_volume(core)
    grid = core.new_zeros((*volume.shape[:-3], size, size, size // 2 + 1))
    # The planes at the smaller box's Nyquist hold ± at once, and have no place of their own in a larger one.
    inner = (slice(1 - half, None), slice(None, half))
    for z in inner:
        for y in inner:
            grid[..., z, y, :half] = core[..., z, y, :half]
    return fourier_to_volume(grid)


def gridding_correction(box_size: int, padding: int = 1) -> Float[Tensor, "n n n"]:
    """What trilinear interpolation on a half grid multiplies a volume by: Π sinc²(x / (padding · n)).

    Divide a volume by it before `volume_to_fourier` and slicing, as `slicing_grid` does; and a volume made
    from `insert_slices` after `fourier_to_volume`.
    """
    position = (torch.arange(box_size) - box_size // 2) / (padding * box_size)
    edge = position.sinc() ** 2
    return edge[:, None, None] * edge[:, None] * edge


def slicing_grid(
    volume: Float[Tensor, "*batch n n n"], padding: int = PADDING
) -> Complex[Tensor, "*batch {padding}*n {padding}*n {padding}*n//2+1"]:
    """Half grids whose slices by trilinear interpolation are the volumes' own."""
    correction = gridding_correction(volume.shape[-1], padding).to(volume)
    return volume_to_fourier(volume / correction, padding)
