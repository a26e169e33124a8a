"""A truth that is two Gaussian blobs, one of which moves: everything about it can be written down."""

import numpy as np
import pandas as pd
import torch

BOX, PIXEL_SIZE = 24, 3.0
TRAVEL = 8.0
"""How far the moving blob goes, in pixels."""


def blob(centre, sigma, box=BOX):
    axis = (torch.arange(box) - box // 2) * BOX / box
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    squared = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2
    return torch.exp(-squared / (2 * sigma**2))


def blobs_at(state):
    """Centres and sigmas, in pixels: still at the left; at the right, moving along y."""
    return ((-4.0, 0.0, 0.0), 2.0), ((4.0, TRAVEL * (float(state) - 0.5), 1.0), 1.2)


def volume_at(state, box=BOX):
    return sum(blob(centre, sigma, box) for centre, sigma in blobs_at(state))


def slice_at(state, rotation, frequency):
    """Central slice of the blobs, analytically."""
    k = frequency @ rotation[:2] / BOX
    return sum(
        (2 * torch.pi * sigma**2) ** 1.5
        * torch.exp(-2 * (torch.pi * sigma) ** 2 * k.square().sum(dim=-1))
        * torch.exp(-2j * torch.pi * (k @ torch.tensor(centre)))
        / BOX
        for centre, sigma in blobs_at(state)
    )


class BlobTruth:
    box_size = BOX
    pixel_size_in_angstroms = PIXEL_SIZE

    def __init__(self, state_of_movies):
        """From states (movies, frames)."""
        movies, frames = state_of_movies.shape
        self.states = pd.DataFrame(
            {
                "image": np.arange(movies * frames),
                "movie": np.repeat([f"m{i}" for i in range(movies)], frames),
                "frame": np.tile(np.arange(frames), movies),
                "state": state_of_movies.ravel(),
            }
        )
        _, self.conformation = np.unique(self.states["state"], return_inverse=True)
        self.asked = 0

    def volume(self, rows):
        self.asked += len(rows)
        return torch.stack([volume_at(state) for state in self.states["state"].to_numpy()[rows]])


def in_order(movies, frames):
    """Every movie goes from 0 to 1."""
    return np.tile(np.linspace(0, 1, frames), (movies, 1))


def twin(movies, frames, seed=0):
    """The same states, from a random one on, either way, turning back at the ends."""
    random = np.random.default_rng(seed)
    there_and_back = np.concatenate([np.arange(frames), np.arange(frames)[::-1]])
    starts = random.integers(0, 2 * frames, size=(movies, 1))
    return there_and_back[(starts + np.arange(frames)) % (2 * frames)] / (frames - 1)
