"""One sentence on what a run is worth, from the strongest evidence there is."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from temporem.evaluation.null import is_null

__all__ = ["verdict"]

NULL = (
    "This run is a null: the frames of every movie were put in random order, so that nothing here was learnt"
    " from time."
)

NEAR_NYQUIST = 1.02
"""A resolution finer than this many times Nyquist has nowhere to go."""


def verdict(config: Mapping[str, Any], evaluation: Path, halves: str = "") -> str:
    """Against a truth where there is one, else what halves of the movies and frames held out told.

    `halves` is the sentence on two halves of the movies; empty where they were not compared. Of a null it is
    said first that it is one.
    """
    if is_null(config):
        return f"{NULL} {_of_volumes(config, evaluation, halves)}"
    return _of_volumes(config, evaluation, halves)


def _of_volumes(config: Mapping[str, Any], evaluation: Path, halves: str) -> str:
    path = evaluation / "evaluation.json"
    if path.exists():
        # Whether it is whole is said where its figures are drawn.
        try:
            return _against_truth(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError):
            return ""
    held_out = config.get("held_out")
    if held_out:
        return " ".join(x for x in (halves, held_out["motion"], held_out["time"]) if x)
    if halves:
        return halves
    return (
        "How far to believe these volumes is not measured yet: no truth was compared, and no frames were "
        "held out."
    )


def _against_truth(summary: Mapping[str, Any]) -> str:
    figures = summary.get("run_on_reference_frames") or summary["methods"]["run"]
    where = "moving" if "moving" in summary["masks"] else next(iter(summary["masks"]))
    reached = figures[where]["resolution_in_angstroms"]["mean_over_frames"]
    place = "where the molecule moves" if where == "moving" else f"under the mask {where}"
    told = f"Against the truth, a frame's volume reaches {reached:.1f} Å {place}"
    still = summary["methods"].get("consensus")
    if still is not None:
        told += (
            f", and all frames averaged {still[where]['resolution_in_angstroms']['mean_over_frames']:.1f} Å"
        )
    told += " (FSC 0.5)."
    finest = summary.get("nyquist_in_angstroms", 0.0)
    if reached <= NEAR_NYQUIST * finest:
        told += f" The images can show no more than {finest:.1f} Å (Nyquist)"
        if still is not None:
            ours, theirs = (x["psnr_in_decibels"] for x in (figures, still))
            told += f"; the difference is in the PSNR, {ours:.1f} dB against {theirs:.1f} dB"
        told += "."
    return told
