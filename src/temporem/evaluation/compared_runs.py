"""What a comparison says of each run, left in the run's folder for its report."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from temporem.errors import UserError
from temporem.files import write_json
from temporem.reconstruction.run import CONFIG, Run

__all__ = ["compared_with", "forget_comparison", "sentences_of", "tell_runs"]

COMPARED = "compared.json"
"""In the folder of a run: how it did in the last comparison."""


def sentences_of(summary: Mapping[str, Any]) -> dict[str, list[str]]:
    """By name, a sentence for each run that one was compared with; `summary` is that of `compare_runs`."""
    against = summary["against"]
    sentences: dict[str, list[str]] = {against: []}
    for name, gain in summary["improvement"].items():
        sentences[name] = [_sentence(against, gain, summary, ours=1)]
        sentences[against].append(_sentence(name, gain, summary, ours=-1))
    return sentences


def tell_runs(summary: Mapping[str, Any]) -> list[Run]:
    """Leave in each run's folder how it did in a comparison, and return these runs.

    `summary` is that of `compare_runs`. Evaluations that lie outside a run are passed over.
    """
    sentences = sentences_of(summary)
    told = []
    for name, facts in summary["runs"].items():
        folder = Path(facts["evaluation"])
        if folder.name == "evaluation" and (folder.parent / CONFIG).is_file():
            told.append(Run(folder.parent))
            write_json(folder.parent / COMPARED, {"sentences": sentences[name]})
    return told


def compared_with(run: Run) -> list[str]:
    """A sentence for each run that this one was compared with; none where it was not.

    Raises UserError where they cannot be read.
    """
    path = run.path / COMPARED
    if not path.exists():
        return []
    try:
        return [str(x) for x in json.loads(path.read_text(encoding="utf-8"))["sentences"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}): run temporem compare again.") from None


def forget_comparison(run: Run) -> None:
    """Of an evaluation that is about to be replaced."""
    (run.path / COMPARED).unlink(missing_ok=True)


def _sentence(other: str, gain: Mapping[str, Any], summary: Mapping[str, Any], ours: int) -> str:
    """Better or worse than `other`; `ours` is 1 for the run whose `gain` it is, −1 for the one it is over."""
    where = "moving" if "moving" in summary["masks"] else summary["masks"][0]
    place = "where the molecule moves" if where == "moving" else f"under the mask {where}"
    finer = gain[where]["at_half"]["mean_over_frames"]["angstroms"]
    is_finer = ours * finer["value"] >= 0
    sign = ours if is_finer else -ours
    words, sure = "one movie tells no interval", False
    if finer["low"] is not None:
        low, high = sorted(sign * finer[x] for x in ("low", "high"))
        words, sure = f"95 % interval {low:.2f} to {high:.2f} Å", low > 0
    what = f"{'Better' if is_finer else 'Worse'} than" if sure else "Not beyond doubt better or worse than"
    psnr = ours * gain["psnr_in_decibels"]["difference"]["value"]
    return (
        f"{what} {other} {place}: {sign * finer['value']:.2f} Å {'finer' if is_finer else 'coarser'} in the"
        f" mean of {summary['frames']} frames (FSC 0.5; {words}), {_frames(gain[where], summary, ours)},"
        f" PSNR {abs(psnr):.2f} dB {'higher' if psnr >= 0 else 'lower'}."
    )


def _frames(gain: Mapping[str, Any], summary: Mapping[str, Any], ours: int) -> str:
    """How many frames are finer, and how many equal; `gain` is that under one mask."""
    better, equal = (
        round(gain["at_half"][f"fraction_{x}"]["value"] * summary["frames"])
        for x in ("improved" if ours > 0 else "worse", "tied")
    )
    tied = f" and {equal} equal ({gain['frames_both_at_nyquist']} at Nyquist in both)" if equal else ""
    return f"{better} of them finer{tied}"
