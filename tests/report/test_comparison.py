from pathlib import Path

import pytest
import torch

from temporem.reconstruction.contour import contour_level
from temporem.reconstruction.run import Run
from temporem.report.run_facts import evenly_spaced, flat, losses, most_telling_movie, time_label
from temporem.report.scene import scene_of


def cube(half: int, n: int = 24) -> torch.Tensor:
    """One inside a cube about the centre, minus one outside."""
    volume = -torch.ones(n, n, n)
    inside = slice(n // 2 - half, n // 2 + half + 1)
    volume[inside, inside, inside] = 1.0
    return volume


def test_a_scene_is_as_near_as_what_it_shows_allows() -> None:
    small, large = cube(2), cube(4)
    near, far = scene_of(small, large, [small]), scene_of(small, large, [small, large])
    assert near.zoom > far.zoom >= 1.0
    for view in (near, far):
        edge = view.draw(large if view is far else small, 0.0, (1.0, 1.0, 1.0), 60)[..., 3]
        assert edge.max() == 255
        assert max(edge[0].max(), edge[-1].max(), edge[:, 0].max(), edge[:, -1].max()) == 0


def test_the_contour_level_parts_molecule_from_solvent_inside_the_mask() -> None:
    volume = cube(4)
    assert -1 < contour_level(volume, torch.ones_like(volume)) < 1
    # A mask that holds nothing does not stop a report.
    assert -1 < contour_level(volume, torch.zeros_like(volume)) < 1


def test_the_most_telling_movie_is_the_one_that_travels_most(run: Run) -> None:
    assert most_telling_movie(run.latents()) == "second & last"


@pytest.mark.parametrize(("count", "most", "chosen"), [(3, 8, [0, 1, 2]), (9, 3, [0, 4, 8]), (1, 8, [0])])
def test_evenly_spaced_keeps_both_ends(count: int, most: int, chosen: list[int]) -> None:
    assert evenly_spaced(count, most) == chosen


def test_losses_finds_what_counts_and_what_changes() -> None:
    records = [{"stage": "a", "step": i, "loss": 1.0 / (i + 1), "rate": 0.1, "note": None} for i in range(4)]
    _, terms, step, stage = losses(records)
    assert (terms, step, stage) == (["loss"], "step", "stage")
    assert losses([{"loss": 1.0}, {"loss": 2.0}])[1:] == (["loss"], "record", None)


def test_settings_are_flattened_in_order_and_units_are_not_guessed() -> None:
    assert flat({"a": {"b": 1, "c": None}, "d": Path("x")}) == {"a.b": "1", "a.c": "—", "d": "x"}
    assert flat({"noise": [0.123456, 2.0], "command": ["a", "b"]}) == {"noise": "0.1235 2", "command": "a b"}
    assert time_label({}) == "time"
    assert time_label({"time_unit": "seconds"}) == "time (seconds)"
