"""Latents of molecules that jump between two states at known rates."""

import numpy as np
import pandas as pd

from temporem.simulation.motions import Telegraph


def jumping_latents(
    movies: int, frames: int, up: float, down: float, noise: float, seed: int, missing: float = 0.0
) -> pd.DataFrame:
    """A table of latents as runs have it, and each frame's true `state`; rates per frame, movies ragged.

    z1 is −1 or 1 plus noise, z2 noise alone.
    """
    random = np.random.default_rng(seed)
    lengths = random.integers(frames // 2, frames + 1, size=movies)
    state = Telegraph(up, down).schedule(lengths, random, twin=True).category
    movie = np.repeat(np.arange(movies), lengths)
    frame = np.concatenate([np.arange(n) for n in lengths])
    count = len(state)
    table = pd.DataFrame(
        {
            "image": np.arange(count),
            "movie": [f"movie {x}" for x in movie],
            "frame": frame,
            "time": frame * 0.5,
            "z1": 2.0 * state - 1 + noise * random.normal(size=count),
            "z2": noise * random.normal(size=count),
            "sd1": noise,
            "sd2": noise,
            "state": state,
        }
    )
    kept = (frame == 0) | (frame == lengths[movie] - 1) | (random.uniform(size=count) >= missing)
    return table[kept].reset_index(drop=True).assign(image=np.arange(int(kept.sum())))
