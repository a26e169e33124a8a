"""FSC over time: mean curves of the frames of equal index."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["curves_over_time"]


def curves_over_time(
    frame: npt.NDArray[np.integer],
    curves: Mapping[str, Float[Tensor, "frames shells"]],
    edge_in_angstroms: float,
) -> pd.DataFrame:
    """Return a row per curve's name, frame index and shell from 1 on: the mean FSC, and of how many movies.

    `frame` (frames,) is each curve's index within its movie; `edge_in_angstroms` the box's.
    """
    indices, place = np.unique(frame, return_inverse=True)
    count = np.bincount(place)
    tables = []
    for name, fsc in curves.items():
        sums = torch.zeros(len(indices), fsc.shape[-1], dtype=torch.float64)
        sums.index_add_(0, torch.from_numpy(place), fsc.double())
        means = (sums / torch.from_numpy(count)[:, None]).numpy()[:, 1:]
        shell = np.arange(1, fsc.shape[-1])
        tables.append(
            pd.DataFrame(
                {
                    "curve": name,
                    "frame": np.repeat(indices, len(shell)),
                    "movies": np.repeat(count, len(shell)),
                    "shell": np.tile(shell, len(indices)),
                    "resolution_in_angstroms": np.tile(edge_in_angstroms / shell, len(indices)),
                    "fsc": means.flatten(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
