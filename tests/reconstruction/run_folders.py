"""Small runs on disk, with a generator whose volumes are known."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from temporem.movies.movie_set import MovieSet
from temporem.reconstruction.run import Run

BOX = 8


class LinearVolumes(torch.nn.Module):
    """Volume at z: z1 everywhere, but z2 at one corner."""

    def volumes(self, z: Tensor) -> Tensor:
        volumes = z[:, :1, None, None].expand(-1, BOX, BOX, BOX).clone()
        volumes[:, 0, 0, 0] = z[:, 1]
        return volumes


class NoImages:
    box_size = BOX

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def read(self, rows: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def movies(lengths: dict[str, int]) -> MovieSet:
    """Movies of these ids and lengths; frames of the second and later movies run backwards in the input."""
    ids = tuple(lengths)
    movie = np.repeat(np.arange(len(ids)), list(lengths.values()))
    frame = np.concatenate([np.arange(n)[:: 1 if i == 0 else -1] for i, n in enumerate(lengths.values())])
    return MovieSet(NoImages(len(movie)), 3.0, ids, movie, frame, frame * 0.1, "seconds")


def make_run(path: Path, lengths: dict[str, int]) -> Run:
    """A run whose image i has z = (i + 1, −i), masked at the first voxel, in an image scale of 10."""
    some = movies(lengths)
    run = Run.create(path, {"pixel_size_in_angstroms": 3.0, "image_scale": 10.0})
    index = torch.arange(len(some), dtype=torch.float32)
    z = torch.stack((index + 1, -index), dim=-1)
    run.write_latents(some, z, torch.ones_like(z))
    mask = torch.ones(BOX, BOX, BOX)
    mask[0, 0, 0] = 0
    run.write_mask(mask)
    return run
