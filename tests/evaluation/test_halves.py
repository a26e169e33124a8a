"""Halves of the movies: correlations of volumes whose agreement is known, and a small run halved for real."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from temporem.errors import UserError
from temporem.evaluation.halves import (
    HalvesOptions,
    compare_halves,
    fit_halves,
    halves_sentence,
    write_local_resolutions,
)
from temporem.reconstruction.run import Run
from temporem.reconstruction.volume_file import read_volume, write_volume

BOX, MOVIES, FRAMES = 16, 8, 6
Z = np.linspace(-1, 1, MOVIES * FRAMES)
NOISE_SD = 0.5


class KnownHalf(Run):
    """Volumes of white noise common to all runs, plus z times another such, plus a noise of its own."""

    def volumes_at(self, z: Tensor, device: str = "cpu") -> Iterator[Tensor]:
        fixed, moving = (white(seed) for seed in (1, 2))
        own = white(self.config["noise"])
        for turned in z[:, 0]:
            state = self.config["gain"] * turned
            yield fixed + state * moving + NOISE_SD * own


def white(seed: int) -> Tensor:
    return torch.randn(BOX, BOX, BOX, generator=torch.Generator().manual_seed(seed))


def known_run(path: Path, kept: np.ndarray, gain: float, noise: int) -> KnownHalf:
    """Of the movies `kept`, with latents turned and scaled: z / gain."""
    facts = {"pixel_size_in_angstroms": 3.0, "gain": gain, "noise": noise, "answer_of": "known"}
    run = KnownHalf.create(path, facts)
    movie = np.repeat(np.arange(MOVIES), FRAMES)
    rows = np.isin(movie, kept)
    table = pd.DataFrame({"movie": [f"m{x}" for x in movie], "frame": np.tile(np.arange(FRAMES), MOVIES)})
    table = table[rows].assign(time=table["frame"][rows] * 1.0, z1=Z[rows] / gain, sd1=0.1)
    table.insert(0, "image", np.arange(rows.sum()))
    table.to_csv(path / "latents.csv", index=False)
    write_volume(path / "mask.mrc", torch.ones(BOX, BOX, BOX), 3.0)
    return run


@pytest.fixture
def known(tmp_path: Path) -> tuple[KnownHalf, tuple[KnownHalf, KnownHalf]]:
    movies = np.arange(MOVIES)
    run = known_run(tmp_path / "run", movies, 1.0, 3)
    first = known_run(tmp_path / "first", movies[::2], -2.0, 4)
    return run, (first, known_run(tmp_path / "second", movies[1::2], 0.5, 5))


def test_correlations_are_those_of_signal_and_noise(known, tmp_path: Path) -> None:
    run, halves = known
    summary = compare_halves(run, halves, tmp_path / "out", HalvesOptions(frames=30))
    fsc = pd.read_csv(tmp_path / "out" / "fsc.csv").set_index(["curve", "shell"])["fsc"]
    shells = slice(4, BOX // 2)
    # Signal 1 + z², noise 0.25 in each half; the volumes' differences from their mean have no noise at all.
    shown = Z[pd.read_csv(tmp_path / "out" / "frames.csv")["image"]]
    expected = np.mean((1 + shown**2) / (1 + shown**2 + NOISE_SD**2))
    assert fsc["whole"][shells].mean() == pytest.approx(expected, abs=0.02)
    assert fsc["motion"][shells].min() > 0.999
    assert min(summary["states_told_r_squared"]) > 0.999
    # With a mask of ones there is nothing for it to feign.
    assert fsc["floor"][shells].mean() == pytest.approx(0, abs=0.05)


def test_the_spread_is_the_error_of_the_mean_of_both_halves(known, tmp_path: Path) -> None:
    run, halves = known
    compare_halves(run, halves, tmp_path / "out", HalvesOptions(frames=10))
    squared = float(read_volume(tmp_path / "out" / "spread.mrc").square().mean())
    assert squared == pytest.approx(2 * NOISE_SD**2 / 4, rel=0.1)


def test_curves_without_a_common_state_have_no_motion_in_common(known, tmp_path: Path) -> None:
    """Latents of the second half in random order: its volumes still agree, its motion does not."""
    run, (first, second) = known
    table = pd.read_csv(second.path / "latents.csv")
    table["z1"] = np.random.default_rng(0).permutation(table["z1"])
    table.to_csv(second.path / "latents.csv", index=False)
    summary = compare_halves(run, (first, second), tmp_path / "out", HalvesOptions(frames=30))
    fsc = pd.read_csv(tmp_path / "out" / "fsc.csv").set_index(["curve", "shell"])["fsc"]
    assert abs(fsc["motion"][4:].mean()) < 0.5
    assert summary["states_told_r_squared"][1] < 0.3
    assert "agree" in halves_sentence(summary)


def test_latents_of_other_movies_are_refused(known, tmp_path: Path) -> None:
    run, (first, second) = known
    (first.path / "latents.csv").write_text((second.path / "latents.csv").read_text().replace("m1", "x"))
    with pytest.raises(UserError, match="not of the run's movies"):
        compare_halves(run, (first, second), tmp_path / "out", HalvesOptions())


def test_a_run_of_few_movies_has_no_halves(known, tmp_path: Path) -> None:
    run = known[0]
    run.update_config(reading={}, preprocessing={})
    table = pd.read_csv(run.path / "latents.csv")
    table[table["movie"].isin(["m0", "m1", "m2"])].to_csv(run.path / "latents.csv", index=False)
    with pytest.raises(UserError, match="fewer than four movies"):
        fit_halves(run, tmp_path / "halves")


def test_a_map_of_local_resolution_for_each_frame(known, tmp_path: Path) -> None:
    run, halves = known
    paths = write_local_resolutions(run, halves, [5, 2], tmp_path / "out")
    assert [path.name for path in paths] == ["local_00000_image_000005.mrc", "local_00001_image_000002.mrc"]
    inside = run.mask() > 0.5
    for path in paths:
        found = read_volume(path)
        assert (found[~inside] == 0).all()
        assert (found[inside] >= 2 * run.pixel_size_in_angstroms - 1e-3).all()
