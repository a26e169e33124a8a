"""Curves boiled down to figures, and tables of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.evaluation.fsc import largest_k_above, resolution_at
from temporem.evaluation.scoring import Scores, TrueVolumes

__all__ = ["frames_table", "fsc_table", "summarise", "summarise_curves"]


def summarise_curves(
    curves: Float[Tensor, "images shells"], box_size: int, pixel_size_in_angstroms: float
) -> dict[str, Any]:
    """Resolution at FSC 0.5 and largest k above 0.5, in Å: mean over frames, and of the mean curve."""
    mean_curve = curves.mean(dim=0)
    edge = box_size * pixel_size_in_angstroms
    resolution, never = resolution_at(curves, box_size, pixel_size_in_angstroms)
    of_mean, _ = resolution_at(mean_curve, box_size, pixel_size_in_angstroms)
    return {
        "resolution_in_angstroms": {
            "mean_over_frames": float(resolution.mean()),
            "of_mean_curve": float(of_mean),
        },
        "frames_at_nyquist": int(never.sum()),
        "largest_k_above_half_in_angstroms": {
            "mean_over_frames": float((edge / largest_k_above(curves)).mean()),
            "of_mean_curve": float(edge / largest_k_above(mean_curve)),
        },
    }


def summarise(scores: Scores, truth: TrueVolumes) -> dict[str, Any]:
    """All figures of one method: those of every mask by its name, PSNR and SSIM, and the number of frames."""
    curves = {
        mask: summarise_curves(fsc, truth.box_size, truth.pixel_size_in_angstroms)
        for mask, fsc in scores.fsc.items()
    }
    return {
        "frames": len(scores.image),
        **curves,
        "psnr_in_decibels": float(scores.psnr_in_decibels.mean()),
        "ssim": float(scores.ssim.mean()),
    }


def frames_table(methods: Mapping[str, Scores], truth: TrueVolumes) -> pd.DataFrame:
    """One row per method and image: what the image is, and its figures under every mask."""
    tables = []
    for method, scores in methods.items():
        known = truth.states.iloc[scores.image][["movie", "frame", "state"]].reset_index(drop=True)
        table = pd.concat([pd.DataFrame({"method": method, "image": scores.image}), known], axis=1)
        for mask, fsc in scores.fsc.items():
            resolution, _ = resolution_at(fsc, truth.box_size, truth.pixel_size_in_angstroms)
            table[f"{mask}_resolution_in_angstroms"] = resolution.numpy()
            table[f"{mask}_largest_k_above_half"] = largest_k_above(fsc).numpy()
        table["psnr_in_decibels"] = scores.psnr_in_decibels
        table["ssim"] = scores.ssim
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def fsc_table(curves: Mapping[str, Mapping[str, Tensor]], truth: TrueVolumes) -> pd.DataFrame:
    """One row per method, mask and shell from 1 on: mean over the frames, and the 10th and 90th percentile.

    `curves` are (images, shells) by method and mask.
    """
    shell = np.arange(1, truth.box_size // 2 + 1)
    edge = truth.box_size * truth.pixel_size_in_angstroms
    tables = []
    for method, by_mask in curves.items():
        for mask, fsc in by_mask.items():
            low, high = torch.quantile(fsc, torch.tensor([0.1, 0.9], dtype=fsc.dtype), dim=0)
            columns = {"resolution_in_angstroms": edge / shell, "fsc": fsc.mean(dim=0).numpy()[1:]}
            spread = {"fsc_10th_percentile": low.numpy()[1:], "fsc_90th_percentile": high.numpy()[1:]}
            tables.append(pd.DataFrame({"method": method, "mask": mask, "shell": shell, **columns, **spread}))
    return pd.concat(tables, ignore_index=True)
