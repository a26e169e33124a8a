"""What a run is worth: one sentence from the strongest evidence there is, and those that bear it out."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from temporem.errors import UserError
from temporem.evaluation.null import THIS_NULL, NullVerdict, is_null
from temporem.fitting.held_out.score import HeldOutScore

__all__ = ["verdict"]

UNMEASURED = (
    "How far to believe these volumes is not measured yet: no truth was compared, and no frames were held"
    " out."
)

NEAR_NYQUIST = 1.02
"""A resolution finer than this many times Nyquist has nowhere to go."""


def verdict(
    config: Mapping[str, Any],
    evaluation: Path,
    halves: str = "",
    null: NullVerdict | None = None,
    compared: Sequence[str] = (),
) -> list[str]:
    """Sentences, the headline first: against a truth where there is one, else what was found to move.

    `halves` is the sentence on two halves of the movies; empty where they were not compared;
    `compared` are those on other evaluated runs. Of a null the headline is that it is one.

    Raises UserError where the evaluation cannot be read.
    """
    held_out = config.get("held_out") or {}
    against_null = null.sentence if null else ""
    if (evaluation / "evaluation.json").exists():
        try:
            summary = json.loads((evaluation / "evaluation.json").read_text(encoding="utf-8"))
            told = [*_against_truth(summary), *compared, against_null]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"the evaluation in {evaluation} cannot be read ({error}); run temporem evaluate again."
            ) from None
    elif held_out:
        told = [_found(held_out, null), halves, held_out["motion"], held_out["time"], against_null]
    else:
        told = [halves or UNMEASURED]
    if is_null(config):
        told = [THIS_NULL, *told]
    return [sentence for sentence in told if sentence]


def _found(held_out: Mapping[str, Any], null: NullVerdict | None) -> str:
    """Whether anything moves, in how many dimensions, and whether time tells of it."""
    best = str(held_out["best_latent_dim"])
    if not HeldOutScore(**held_out["by_latent_dim"][best]).is_positive:
        return "No motion found: one volume does as well as volumes that change."
    motion = "Motion found" if held_out["motion_found"] else "No motion found, but states that differ"
    if null is not None:
        time = "time mattered" if null.time_mattered else "time did not matter beyond doubt"
    else:
        helps = HeldOutScore(**held_out["gain_of_time"][best]).is_positive
        time = "time helps" if helps else "time does not help"
    return f"{motion}, in {best} {'dimension' if best == '1' else 'dimensions'}; {time}."


def _against_truth(summary: Mapping[str, Any]) -> list[str]:
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
    if reached > NEAR_NYQUIST * finest:
        return [told]
    limit = f"The images can show no more than {finest:.1f} Å (Nyquist)"
    if still is not None:
        ours, theirs = (x["psnr_in_decibels"] for x in (figures, still))
        limit += f"; the difference is in the PSNR, {ours:.1f} dB against {theirs:.1f} dB"
    return [told, f"{limit}."]
