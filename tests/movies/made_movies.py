"""Movies in memory, of a particle made of blobs, for tests of what is done to images."""

import numpy as np
import numpy.typing as npt
import torch

from temporem.movies.movie_set import MovieSet
from temporem.physics.ctf import ContrastTransfer, contrast_transfer_function
from temporem.physics.lattice import half_disc
from temporem.physics.rotations import random_rotations

PIXEL_SIZE = 3.0


class ImagesInMemory:
    def __init__(self, images: npt.NDArray[np.float32]) -> None:
        self.images = images

    @property
    def box_size(self) -> int:
        return self.images.shape[-1]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        return self.images[rows]


def movie_set(images: npt.NDArray[np.floating], **what_else) -> MovieSet:
    count = len(images)
    return MovieSet(
        images=ImagesInMemory(np.asarray(images, dtype=np.float32)),
        pixel_size_in_angstroms=PIXEL_SIZE,
        movie_ids=("one", "two"),
        movie=np.arange(count) % 2,
        frame=np.arange(count) // 2,
        time=np.arange(count) // 2 * 1.0,
        **what_else,
    )


def contrast_transfer(count: int, generator: torch.Generator) -> ContrastTransfer:
    defocus = 10_000 + 10_000 * torch.rand(count, generator=generator)
    one = torch.ones(count)
    return ContrastTransfer(
        defocus, defocus + 500, 0.3 * one, 300 * one, 2.7 * one, 0.1 * one, 0 * one, 0 * one
    )


def particle_images(count: int, box: int, radius_in_pixels: float, seed: int = 0):
    """Clean images (count, box, box) of 40 blobs, with the optics and the shifts in Å that made them."""
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(40, 3, generator=generator)
    place = radius_in_pixels * torch.rand(40, 1, generator=generator) ** (1 / 3)
    points = place * direction / direction.norm(dim=-1, keepdim=True)
    rotation = random_rotations(count, generator)
    shift = torch.randn(count, 2, generator=generator)
    optics = contrast_transfer(count, generator)
    disc = half_disc(box)
    landed = torch.einsum("bij,pj->bpi", rotation, points)[..., :2] + shift[:, None]
    pixels = torch.arange(box) - box // 2
    x, y = (torch.exp(-((pixels - landed[..., i, None]) ** 2) / (2 * 1.2**2)) for i in (0, 1))
    projections = torch.einsum("bpy,bpx->byx", y, x)
    transfer = contrast_transfer_function(optics, disc.frequency / (box * PIXEL_SIZE))
    images = disc.to_images(disc.from_images(projections) * transfer)
    return images.numpy(), optics, (shift * PIXEL_SIZE).numpy().astype(np.float64)


def noise(count: int, box: int, colour: str, seed: int = 1) -> npt.NDArray[np.float32]:
    """Noise of unit variance cut from fields twice as large, so that it does not wrap around the box."""
    generator = torch.Generator().manual_seed(seed)
    field = torch.fft.rfft2(torch.randn(count, 2 * box, 2 * box, generator=generator))
    k = torch.hypot(torch.fft.fftfreq(2 * box, 0.5)[:, None], torch.fft.rfftfreq(2 * box, 0.5)[None, :])
    power = {
        "white": torch.ones_like(k),
        "detector": 0.3 + 0.7 * torch.exp(-((k / 0.6) ** 2)),
        "liquid": 0.3 + 0.7 / (1 + (k / 0.1) ** 2),
    }[colour]
    images = torch.fft.irfft2(field * power.sqrt())[:, :box, :box]
    return (images / images.std()).numpy()
