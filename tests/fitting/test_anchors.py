"""Volumes along the states, of a molecule that moves and of one that does not."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from blob_movies import Molecule, blob_store, silent, swinging
from torch import Tensor

from temporem.fitting import anchors
from temporem.fitting.anchors import Anchored, anchor_count, fit_anchors, repeat_anchors
from temporem.fitting.bandwidths import BANDWIDTHS
from temporem.fitting.consensus import Consensus, find_consensus
from temporem.fitting.frames import FrameStore
from temporem.model import anchor_generator
from temporem.reconstruction import local_filter
from temporem.reconstruction.backprojection import Accumulator

BOX = 16
METRIC = torch.eye(1)


@cache
def moving() -> tuple[FrameStore, Tensor, Consensus]:
    state = swinging(20, 16)
    store = blob_store(state, BOX, snr=2.0)
    return store, state.flatten()[:, None], find_consensus(store)


def anchored(store: FrameStore, z: Tensor, consensus: Consensus, metric: Tensor = METRIC) -> Anchored:
    return fit_anchors(store, z, metric, consensus.volume, consensus.mask, consensus.signal_power, 0, silent)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = (x.flatten(1) - x.flatten(1).mean(-1, keepdim=True) for x in (a, b))
    return (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))


def test_volumes_at_anchors_are_those_of_the_states() -> None:
    store, z, consensus = moving()
    found = anchored(store, z, consensus)
    places = found.generator.anchors
    truth = Molecule(BOX).volumes(places[:, 0])
    at_anchors = correlation(found.generator.volumes(places), truth)
    blurred = correlation(consensus.volume.expand(len(truth), -1, -1, -1), truth)
    assert (at_anchors > blurred).float().mean() > 0.9
    assert at_anchors.mean() > blurred.mean() + 0.02
    bandwidths = found.bandwidths
    assert bandwidths.best < max(BANDWIDTHS)
    assert bandwidths.scores[max(BANDWIDTHS)] == 0
    assert bandwidths.scores[bandwidths.best] == max(bandwidths.scores.values()) > 0


def test_repeated_on_the_same_frames_the_volumes_are_the_same() -> None:
    store, z, consensus = moving()
    found = anchored(store, z, consensus)
    steps: list[int] = []
    given = (consensus.volume, consensus.mask, found)
    again = repeat_anchors(store, z, METRIC, *given, 0, lambda count, note: steps.append(count))
    assert sum(steps) == anchor_count(len(store))
    volumes = found.generator.volumes(z)
    torch.testing.assert_close(again.volumes(z), volumes, rtol=1e-3, atol=1e-4 * float(volumes.abs().max()))
    # The widths are those given: as wide as can be, all states look alike.
    wide = replace(found.bandwidths, of_ranges=(100.0,) * len(found.bandwidths.of_ranges))
    given = (consensus.volume, consensus.mask, replace(found, bandwidths=wide))
    alike = repeat_anchors(store, z, METRIC, *given, 0, silent).volumes(z)
    assert alike.std(0).max() < 1e-3 * volumes.std(0).max()


def test_a_molecule_that_does_not_move_is_averaged_over_all_states() -> None:
    store = blob_store(torch.full((20, 10), 0.4), BOX, snr=0.3)
    consensus = find_consensus(store)
    z = torch.randn(200, 1, generator=torch.Generator().manual_seed(3))
    found = anchored(store, z, consensus)
    assert found.bandwidths.best == max(BANDWIDTHS)


def test_the_unit_of_the_metric_does_not_matter() -> None:
    store, z, consensus = moving()
    one, other = anchored(store, z, consensus), anchored(store, z, consensus, 1e4 * METRIC)
    assert one.bandwidths.of_ranges == other.bandwidths.of_ranges
    torch.testing.assert_close(
        one.generator.volumes(z[:3]), other.generator.volumes(z[:3]), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_states_all_alike_give_one_volume(scale: float) -> None:
    """Fewer distinct states than anchors: those left over have no frames."""
    store, z, consensus = moving()
    found = anchored(store, torch.full_like(z, 0.7), consensus, scale * METRIC)
    assert len(found.generator.anchors) == anchor_count(len(store))
    volumes = found.generator.volumes(torch.tensor([[0.7], [0.2]]))
    assert volumes.isfinite().all()
    assert correlation(volumes, consensus.volume.expand_as(volumes)).min() > 0.9


def test_three_distinct_states_give_three_volumes() -> None:
    store, z, consensus = moving()
    thirds = (z * 2).round() / 2
    found = anchored(store, thirds, consensus)
    assert len(found.generator.anchors.unique(dim=0)) == 3
    assert all(x.isfinite().all() for x in found.generator.state_dict().values())


def test_movies_that_share_no_state_fall_back_on_the_consensus_power(monkeypatch: pytest.MonkeyPatch) -> None:
    store, z, consensus = moving()
    # Each half of the movies has a side of its own, so that no cell has frames of both.
    side = torch.zeros(len(store), 1)
    for index, rows in enumerate(store.movie_rows):
        side[rows] = 100.0 * (index % 2)
    powers: list[Tensor] = []

    def local_wiener(sums: Accumulator, power: Tensor, mask: Tensor) -> Tensor:
        powers.append(power)
        return local_filter.local_wiener(sums, power, mask)

    monkeypatch.setattr(anchors, "local_wiener", local_wiener)
    found = anchored(store, side + 0.01 * z, consensus)
    assert powers
    assert all(torch.equal(power, consensus.signal_power) for power in powers)
    assert found.generator.volumes_at_anchors.isfinite().all()


def test_a_single_movie_is_divided_by_its_frames() -> None:
    state = swinging(1, 64)
    store = blob_store(state, BOX, snr=4.0)
    found = anchored(store, state.flatten()[:, None], find_consensus(store))
    assert found.generator.volumes_at_anchors.isfinite().all()


def test_progress_comes_to_its_end() -> None:
    store, z, consensus = moving()
    steps: list[int] = []
    given = (consensus.volume, consensus.mask, consensus.signal_power)
    fit_anchors(store, z, METRIC, *given, 0, lambda n, _: steps.append(n))
    assert sum(steps) == anchor_count(len(store)) + len(BANDWIDTHS)


def test_anchors_are_as_many_as_the_frames_are_worth() -> None:
    assert [anchor_count(frames) for frames in (10**6, 1900, 55, 3)] == [32, 32, 5, 1]


def test_a_large_box_has_as_many_volumes_with_the_motion_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """States differ in the frequencies of a smaller box only, and bandwidths are told by fewer still."""
    store, z, consensus = moving()
    expected = anchored(store, z, consensus)
    monkeypatch.setattr(anchor_generator, "LARGEST_STATE_BOX", 12)
    monkeypatch.setattr(anchors, "SCORED_BOX", 10)
    found = anchored(store, z, consensus)
    assert found.generator.volumes_at_anchors.shape == (32, 12, 12, 12)
    assert found.bandwidths.best < max(BANDWIDTHS)
    truth = Molecule(BOX).volumes(z[:50, 0])
    blurred = correlation(consensus.volume.expand_as(truth), truth)
    whole, cropped = (correlation(x.generator.volumes(z[:50]), truth) for x in (expected, found))
    assert (cropped > blurred).float().mean() > 0.9
    assert cropped.mean() > blurred.mean() + 0.8 * (whole.mean() - blurred.mean())
