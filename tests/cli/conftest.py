from pathlib import Path

import numpy as np
import pytest
import torch

from temporem.movies.images import StackImages, open_stack
from temporem.movies.movie_set import MovieSet
from temporem.movies.writing import write_movies_star, write_mrcs
from temporem.physics.rotations import random_rotations


@pytest.fixture
def star(tmp_path: Path) -> Path:
    """Three movies of four frames, 16 pixels, of a blob in noise, as RELION 3.1 would have them."""
    random = np.random.default_rng(0)
    axis = np.arange(16) - 8
    blob = np.exp(-(axis[:, None] ** 2 + axis**2) / 8)
    images = (blob + random.normal(size=(12, 16, 16))).astype(np.float32)
    write_mrcs(tmp_path / "movies.mrcs", images, 3.0)
    movies = MovieSet(
        images=StackImages.all_of([open_stack(tmp_path / "movies.mrcs")]),
        pixel_size_in_angstroms=3.0,
        movie_ids=("a", "b", "c"),
        movie=np.repeat(np.arange(3), 4),
        frame=np.tile(np.arange(4), 3),
        time=np.tile(np.arange(4.0), 3),
        rotation=random_rotations(12, torch.Generator().manual_seed(0)).numpy(),
        translation_in_angstroms=np.zeros((12, 2), np.float32),
    )
    path = tmp_path / "movies.star"
    write_movies_star(path, movies, [f"{row + 1:06d}@movies.mrcs" for row in range(12)])
    return path
