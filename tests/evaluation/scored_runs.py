"""Evaluations whose every figure is known: FSC curves that fall in a straight line through 0.5 where told."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from temporem.evaluation.evaluation_folder import Evaluation

BOX, PIXEL_SIZE, SHELLS = 64, 3.0, 33
EDGE = BOX * PIXEL_SIZE
MASKS = ("whole", "molecule", "moving")


def curve_through(shell):
    """FSC (…, shells) of 0.5 exactly at these shells, fractions of one too."""
    distance = np.asarray(shell)[..., None] - np.arange(SHELLS)
    return np.clip(0.5 + distance / 4, 0, 1).astype(np.float32)


def scored(shell, movie, image=None, masks: Mapping[str, float] | None = None, psnr=30.0, **changed):
    """Evaluation with crossings at `shell` (frames,) under every mask."""
    count = len(shell)
    frames = pd.DataFrame(
        {
            "image": np.arange(count) if image is None else image,
            "movie": [f"m{x}" for x in movie],
            "frame": 0,
            "state": np.linspace(0, 1, count),
            "psnr_in_decibels": psnr,
            "ssim": 0.9,
        }
        | changed
    )
    summary = {
        "box_size": BOX,
        "pixel_size_in_angstroms": PIXEL_SIZE,
        "masks": {"whole": None, "molecule": 0.2, "moving": 0.05} if masks is None else masks,
    }
    fsc = {mask: curve_through(shell) for mask in MASKS}
    return Evaluation(Path("nowhere"), summary, frames.set_index("image"), fsc)
