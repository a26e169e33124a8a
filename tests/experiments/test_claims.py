from typing import Any

import pytest

from temporem.experiments.claims import findings
from temporem.experiments.declared import Claim


def estimate(value: float, half: float = 0.1) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def entry(
    title: str,
    percent: float = 2.0,
    fraction: float = 0.9,
    at: float | None = None,
    resolution: float = 8.0,
    seed: int = 0,
    tied: float = 0.0,
) -> dict[str, Any]:
    gain = {
        "fraction_improved": estimate(fraction),
        "fraction_tied": estimate(tied),
        "mean_over_frames": {"percent": estimate(percent), "angstroms": estimate(percent / 10)},
    }
    found = {"resolution_in_angstroms": {"mean_over_frames": estimate(resolution)}}
    return {
        "title": title,
        "seed": seed,
        "at": at,
        "arms": ["ours", "theirs"],
        "comparison": {
            "runs": {arm: {"whole": found, "moving": found} for arm in ("ours", "theirs")},
            "improvement": {"ours": {"whole": {"at_half": gain}, "moving": {"at_half": gain}}},
        },
        "evaluations": {
            "ours": {"latent_agreement": {"neighbour_r_squared": 0.9, "spearman": 0.95}},
            "theirs": {"latent_agreement": {"neighbour_r_squared": 0.8, "spearman": 0.99}},
        },
    }


def claim(measure: Any, *titles: str, **more: Any) -> Claim:
    return Claim("text", "fig", measure, titles or ("one",), **more)


def test_an_improvement_must_reach_the_papers_in_both_figures_and_every_seed() -> None:
    asked = claim("improvement", fraction=0.85, percent=1.5, angstroms=0.1)
    found = findings(asked, [entry("one"), entry("other", percent=-9)])
    assert [x.where for x in found] == ["one, whole", "one, moving"]
    assert all(x.holds for x in found)
    assert found[0].ours == "seed 0: 90.0% [80.0%, 100.0%] of the frames, +2.00 [+1.90, +2.10] % (+0.20 Å)"
    assert not any(x.holds for x in findings(asked, [entry("one", fraction=0.8)]))
    assert not any(x.holds for x in findings(asked, [entry("one"), entry("one", percent=1.0, seed=1)]))


@pytest.mark.parametrize(
    ("percent", "fraction", "better", "null"),
    [(0.5, 0.5, True, False), (0.05, 0.5, False, True), (-0.5, 0.4, False, True), (0.05, 0.7, False, False)],
)
def test_better_and_null_are_told_by_intervals(
    percent: float, fraction: float, better: bool, null: bool
) -> None:
    """Where most frames improve, by however little, the null shows a gain."""
    entries = [entry("one", percent=percent, fraction=fraction)]
    assert {x.holds for x in findings(claim("better"), entries)} == {better}
    assert {x.holds for x in findings(claim("null"), entries)} == {null}


def test_seeds_have_their_spread_and_frames_that_are_tied_are_told() -> None:
    several = [entry("one", percent=1.0, tied=0.25), entry("one", percent=3.0, seed=1)]
    whole, _ = findings(claim("improvement"), several)
    assert ", 25% tied, +1.00" in whole.ours
    assert whole.ours.endswith("; over seeds +2.00 % (s.d. 1.41)")
    unmade = entry("one", seed=2)
    unmade["comparison"]["improvement"] = {}
    assert findings(claim("improvement"), [unmade, *several])[0] == whole


def test_rising_means_finer_at_every_step() -> None:
    falling = [
        entry("a", at=1, resolution=9.0),
        entry("b", at=10, resolution=7.0),
        entry("c", at=5, resolution=8.0),
    ]
    found = findings(claim("rising", "a", "b", "c"), falling)
    assert [x.where for x in found] == ["ours, whole", "ours, moving", "theirs, whole", "theirs, moving"]
    assert found[0].ours == "seed 0: 9.00 → 8.00 → 7.00 Å"
    assert all(x.holds for x in found)
    falling[2] = entry("c", at=5, resolution=9.5)
    assert not any(x.holds for x in findings(claim("rising", "a", "b", "c"), falling))
    assert findings(claim("rising", "a", "b", "c"), falling[:1]) == []


def test_without_a_percentage_the_angstroms_are_judged() -> None:
    """Of the percentage alone where there is one, and that may be a loss."""
    entries = [entry("one", percent=-9.0)]
    assert {x.holds for x in findings(claim("improvement", angstroms=-1.0), entries)} == {True}
    assert {x.holds for x in findings(claim("improvement", angstroms=-0.8), entries)} == {False}
    assert {x.holds for x in findings(claim("improvement", percent=-15.0, angstroms=5.0), entries)} == {True}
    assert {x.holds for x in findings(claim("improvement", percent=-8.0), entries)} == {False}


def test_latents_are_compared_by_what_their_neighbours_tell() -> None:
    (found,) = findings(claim("latents"), [entry("one")])
    assert found.holds
    assert "0.900 against 0.800" in found.ours


def test_what_was_not_computed_says_nothing() -> None:
    missing = {"title": "one", "seed": 0, "arms": ["ours", "theirs"], "at": 1.0}
    for measure in ("improvement", "better", "null", "rising", "latents"):
        assert findings(claim(measure), [missing]) == []
