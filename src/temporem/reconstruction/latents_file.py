"""Latent states of all frames as CSV: columns image, movie, frame, time, z1 …, sd1 …"""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError
from temporem.files import replacing
from temporem.movies.movie_set import MovieSet

__all__ = ["latent_columns", "read_latents", "write_latents"]

FRAME_COLUMNS = ("image", "movie", "frame", "time")


def write_latents(
    path: Path, movies: MovieSet, mean: Float[Tensor, "frames latent"], sd: Float[Tensor, "frames latent"]
) -> None:
    """Write each frame's latent mean and marginal standard deviation, in the order of the input's rows,
    atomically.

    `image` is the row of the input from 0. The numbers have the fewest digits that give the same float32
    again.
    """
    columns: dict[str, object] = {
        "image": np.arange(len(movies)),
        "movie": [movies.movie_ids[i] for i in movies.movie],
        "frame": movies.frame,
        "time": np.asarray(movies.time, dtype=np.float64).astype(str),
    }
    for name, values in (("z", mean), ("sd", sd)):
        for index, column in enumerate(values.detach().cpu().float().numpy().T, start=1):
            columns[f"{name}{index}"] = column.astype(str)
    with replacing(path) as temporary:
        pd.DataFrame(columns).to_csv(temporary, index=False)


def read_latents(path: Path) -> pd.DataFrame:
    """Table of the latents, z and sd as float32, movie ids as text; or a UserError."""
    try:
        text = path.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ValueError("it is cut short")
        table = pd.read_csv(io.StringIO(text), dtype=str, na_filter=False)
        missing = [name for name in (*FRAME_COLUMNS, "z1", "sd1") if name not in table]
        if missing:
            raise ValueError(f"no column {missing[0]}")
        kinds = dict.fromkeys(map(str, table.columns), "float32")
        kinds |= {"image": "int64", "movie": "str", "frame": "int64", "time": "float64"}
        return table.astype(kinds)
    except (OSError, ValueError) as error:
        raise UserError(
            f"the latents in {path} cannot be read ({error}): run `temporem reconstruct` with --resume."
        ) from error


def latent_columns(latents: pd.DataFrame) -> list[str]:
    """Names z1, z2, … in order."""
    count = sum(name.startswith("z") for name in latents.columns)
    return [f"z{index}" for index in range(1, count + 1)]
