"""Whether what the paper says holds here, from the numbers of a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from temporem.experiments.declared import Claim

__all__ = ["MASKS", "Finding", "findings"]

MASKS = ("whole", "moving")

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One measured side of a claim."""

    where: str
    """Comparison and mask."""
    ours: str
    """Our figure, in words, seed by seed."""
    holds: bool


def findings(claim: Claim, entries: Sequence[Entry]) -> list[Finding]:
    """What the figure's comparisons say of a claim; those not made say nothing."""
    made = [x for title in claim.comparisons for x in entries if x["title"] == title and "comparison" in x]
    if claim.measure == "rising":
        return _rising(made)
    by_title = {title: [x for x in made if x["title"] == title] for title in claim.comparisons}
    found = []
    for title, same in by_title.items():
        if claim.measure == "latents":
            known = [x for x in same if all(_agreement(x, arm) for arm in (x["arms"][0], x["arms"][-1]))]
            found += [_latents(title, known)] if known else []
            continue
        for mask in MASKS:
            gained = [x for x in same if mask in _gain(x)]
            found += [_improvement(claim, title, mask, gained)] if gained else []
    return found


def _improvement(claim: Claim, title: str, mask: str, entries: Sequence[Entry]) -> Finding:
    told, percents, holds = [], [], True
    for entry in entries:
        gain = _gain(entry)[mask]["at_half"]
        mean, fraction, tied = gain["mean_over_frames"], gain["fraction_improved"], gain["fraction_tied"]
        percent, angstroms = mean["percent"], mean["angstroms"]["value"]
        percents.append(percent["value"])
        equal = f", {tied['value']:.0%} tied" if tied["value"] else ""
        told.append(
            f"seed {entry['seed']}: {interval(fraction, '.1%')} of the frames{equal},"
            f" {interval(percent, '+.2f')} % ({angstroms:+.2f} Å)"
        )
        low = percent["low"]
        if claim.measure == "improvement":
            asked = [(fraction["value"], claim.fraction), (percent["value"], claim.percent)]
            asked += [(angstroms, claim.angstroms)] if claim.percent is None else []
            holds &= all(value >= least for value, least in asked if least is not None)
        elif claim.measure == "better":
            holds &= low is not None and low > 0
        else:
            # A null in which time misleads has no gain either.
            holds &= low is not None and low <= 0 and fraction["low"] <= 0.5
    if len(percents) > 1:
        told.append(f"over seeds {np.mean(percents):+.2f} % (s.d. {np.std(percents, ddof=1):.2f})")
    return Finding(f"{title}, {mask}", "; ".join(told), holds)


def _rising(entries: Sequence[Entry]) -> list[Finding]:
    """Each position of the arms: whether its resolution gets finer from comparison to comparison."""
    if len({x["at"] for x in entries}) < 2:
        return []
    found = []
    places = range(min((len(x["arms"]) for x in entries), default=0))
    for place in places:
        for mask in MASKS:
            told, holds = [], True
            for seed in dict.fromkeys(x["seed"] for x in entries):
                some = sorted((x for x in entries if x["seed"] == seed), key=lambda x: float(x["at"]))
                values = [_resolution(x, x["arms"][place], mask) for x in some]
                told.append(f"seed {seed}: {' → '.join(f'{x:.2f}' for x in values)} Å")
                holds &= all(later <= before for before, later in pairwise(values))
            found.append(Finding(f"{entries[0]['arms'][place]}, {mask}", "; ".join(told), holds))
    return found


def _latents(title: str, entries: Sequence[Entry]) -> Finding:
    """Whether the first arm's nearest latents tell the state better than the last's."""
    told, holds = [], True
    for entry in entries:
        ours, baseline = (_agreement(entry, arm) for arm in (entry["arms"][0], entry["arms"][-1]))
        name = "neighbour_r_squared"
        told.append(
            f"seed {entry['seed']}: R² {ours[name]:.3f} against {baseline[name]:.3f} without time, "
            f"rank correlation {ours['spearman']:.3f} against {baseline['spearman']:.3f}"
        )
        holds &= ours[name] > baseline[name]
    return Finding(title, "; ".join(told), holds)


def _agreement(entry: Entry, arm: str) -> Mapping[str, float]:
    """Of an arm's latents with the true state; empty where that could not be asked."""
    return entry["evaluations"].get(arm, {}).get("latent_agreement") or {}


def _gain(entry: Entry) -> Mapping[str, Any]:
    """Improvement of the first arm over the last."""
    improvement = entry["comparison"]["improvement"]
    gain: Mapping[str, Any] = improvement.get(entry["arms"][0], {})
    return gain


def _resolution(entry: Entry, arm: str, mask: str) -> float:
    figures = entry["comparison"]["runs"][arm][mask]["resolution_in_angstroms"]
    return float(figures["mean_over_frames"]["value"])


def interval(estimate: Mapping[str, float | None], form: str) -> str:
    """An estimate with its 95 % interval, where that has a width."""
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if low is None or high is None or low == high == value:
        return f"{value:{form}}"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"
