"""Posterior samples and standard deviations of voxels, against what is known of Gaussians."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from run_folders import BOX, make_run, movies
from torch import Tensor

from temporem.cli.main import main
from temporem.errors import UserError
from temporem.files import write_json
from temporem.physics.volumes import low_passed
from temporem.reconstruction.run import Run
from temporem.reconstruction.uncertainty import drawn_states, fit_error, voxel_deviations
from temporem.reconstruction.volume_file import read_volume, write_volume

COVARIANCE = torch.tensor([[0.04, -0.05], [-0.05, 0.09]])


class Plane(Run):
    """Volumes linear in the state: 3 z1 + 2 z2 everywhere."""

    def volumes_at(self, z: Tensor, device: str = "cpu") -> Iterator[Tensor]:
        for state in z:
            yield torch.full((BOX, BOX, BOX), float(3 * state[0] + 2 * state[1]))


@pytest.fixture
def run(tmp_path: Path) -> Plane:
    path = tmp_path / "run"
    make_run(path, {"a": 3, "b": 2})
    some = movies({"a": 3, "b": 2})
    mean = torch.arange(10.0).reshape(5, 2)
    run = Plane(path)
    run.write_latents(some, mean, COVARIANCE.diagonal().sqrt().expand(5, 2), COVARIANCE.expand(5, 2, 2))
    return run


def test_draws_have_the_posteriors_mean_and_covariance(run: Plane) -> None:
    draws = drawn_states(run, [1, 4], 20_000, torch.Generator().manual_seed(0))
    for frame, mean in zip(draws, ([2.0, 3.0], [8.0, 9.0]), strict=True):
        np.testing.assert_allclose(frame.mean(0), mean, atol=0.01)
        np.testing.assert_allclose(np.cov(frame.numpy().T), COVARIANCE, atol=0.002)


def test_a_voxels_deviation_takes_the_covariance_in(run: Plane) -> None:
    slope = torch.tensor([3.0, 2.0])
    expected = float((slope @ COVARIANCE @ slope).sqrt())
    (found,) = voxel_deviations(run, [3], draws=4000)
    np.testing.assert_allclose(found, expected, rtol=0.05)


def write_halves(run: Run, spread: float, correlation: Tensor, errors: Sequence[float] | None = None) -> None:
    """What `temporem halves` leaves: an even spread, a curve from shell 1, and what the images of some groups
    of movies tell of all shells; by default no more than the halves."""
    if errors is None:
        errors = 3 * [float(-(1 - correlation[-1]) / (2 * correlation[-1]))]
    folder = run.path / "halves"
    write_volume(folder / "spread.mrc", torch.full((2 * len(correlation),) * 3, spread), 3.0)
    shells = range(1, len(correlation) + 1)
    names = ("corrected", "floor")
    curves = [pd.DataFrame({"curve": name, "shell": shells, "fsc": correlation}) for name in names]
    pd.concat(curves).to_csv(folder / "fsc.csv", index=False)
    told = [pd.DataFrame({"group": i, "shell": shells, "error": x}) for i, x in enumerate(errors)]
    pd.concat(told).to_csv(folder / "unexplained.csv", index=False)
    agreed = {"corrected": {"mean_over_frames": 0.0}}
    write_json(folder / "halves.json", {"resolution_in_angstroms": agreed})


def test_the_halves_difference_joins_as_independent(run: Plane) -> None:
    (of_state,) = voxel_deviations(run, [0])
    assert fit_error(run) is None
    write_halves(run, 0.7, torch.ones(BOX // 2))
    (both,) = voxel_deviations(run, [0])
    np.testing.assert_allclose(both, (of_state.square() + 0.49).sqrt(), rtol=1e-5)


@pytest.mark.parametrize("noise", [0.3, 1.5])
def test_halves_tell_the_error_of_a_wiener_filter(
    noise: float, run: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """White density in white noise: the error of the posterior mean of all data, by those of two halves."""
    generator, box, shell = torch.Generator().manual_seed(0), 24, 9.0
    true, *wrong = torch.randn(3, box, box, box, generator=generator)
    halves = [(true + noise * x) / (1 + noise**2) for x in wrong]
    mean = (true + noise * (wrong[0] + wrong[1]) / 2) / (1 + noise**2 / 2)
    monkeypatch.setattr(run, "volumes_at", lambda states, device="cpu": iter([mean] * len(states)))
    correlation = float(torch.corrcoef(torch.stack([x.flatten() for x in halves]))[0, 1])
    spread = float((halves[0] - halves[1]).square().mean().sqrt()) / 2
    write_halves(run, spread, torch.full((box // 2,), correlation))
    (found,) = voxel_deviations(run, [0], len(run.mask()) * run.pixel_size_in_angstroms / shell)
    error = low_passed(mean - true, shell).square().mean().sqrt()
    np.testing.assert_allclose(found.square().mean().sqrt(), error, rtol=0.03)


@pytest.mark.parametrize(
    ("errors", "times"),
    [
        ((0.3, 0.3, 0.3), 5.0),
        # Four times as much again, two standard errors of 0.75 in doubt.
        ((0.3, 0.3 + 0.075 * 3**0.5, 0.3 - 0.075 * 3**0.5), 5.0 - 1.5**2 / 4),
        ((0.3, 1.5, -0.9), 1.0),
        # What a filter leaves of the images that it was fitted to.
        ((-0.1, -0.1, -0.1), 1.0),
        ((-0.5, -0.5, -0.5), 1.0),
    ],
)
def test_the_images_tell_how_many_times_more_is_wrong(
    errors: tuple[float, ...], times: float, run: Plane
) -> None:
    """Halves that correlate by 1 / 1.2 miss a tenth."""
    write_halves(run, 0.0, torch.full((BOX // 2,), 1 / 1.2), errors)
    fit = fit_error(run)
    assert fit is not None
    np.testing.assert_allclose((fit.missing + fit.differing)[1:], 0.1 * times, rtol=1e-4)


def test_halves_cut_short_are_a_sentence(run: Plane) -> None:
    write_halves(run, 0.0, torch.ones(BOX // 2))
    (run.path / "halves" / "halves.json").write_text('{"resolution')
    with pytest.raises(UserError, match="run temporem halves again"):
        fit_error(run)
    write_halves(run, 0.0, torch.ones(BOX // 2))
    table = run.path / "halves" / "unexplained.csv"
    for damaged in (
        "shell,error\n1,0\n",
        "group,shell,error\n0,1,0\n",
        table.read_text().replace("0.0", "inf"),
    ):
        table.write_text(damaged)
        with pytest.raises(UserError, match=r"unexplained.*run temporem halves again"):
            fit_error(run)
    table.unlink()
    with pytest.raises(UserError, match=r"unexplained.*run temporem halves again"):
        fit_error(run)


def test_of_a_coarse_volume_less_is_open(run: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """States that move only the finest detail leave a coarse volume certain."""
    signs = torch.tensor([1.0, -1.0]).repeat(BOX // 2)
    checked = signs[:, None, None] * signs[:, None] * signs

    def volumes_at(states: Tensor, device: str = "cpu") -> Iterator[Tensor]:
        return (state[0] * checked for state in states)

    monkeypatch.setattr(run, "volumes_at", volumes_at)
    (fine,), (coarse,) = voxel_deviations(run, [0]), voxel_deviations(run, [0], 12.0)
    assert float(fine.mean()) == pytest.approx(0.2, rel=0.4)
    assert float(coarse.abs().max()) < 1e-5


def test_without_a_covariance_latents_are_independent(run: Plane) -> None:
    run.write_latents(movies({"a": 3, "b": 2}), torch.zeros(5, 2), torch.full((5, 2), 0.5))
    np.testing.assert_allclose(run.covariance(), 0.25 * torch.eye(2).expand(5, 2, 2))


def test_a_covariance_of_other_latents_is_refused(run: Plane) -> None:
    np.save(run.path / "covariance.npy", np.zeros((4, 2, 2), np.float32))
    with pytest.raises(UserError, match="does not belong"):
        run.covariance()


def test_deviations_are_written_in_place_of_volumes(
    run: Plane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Run, "volumes_at", Plane.volumes_at)
    assert main(["volumes", str(run.path), "-o", str(tmp_path / "out"), "--movie", "b", "--sd"]) == 0
    assert "uncertainty alone" in capsys.readouterr().out
    written = sorted((tmp_path / "out").iterdir())
    assert [path.name[:8] for path in written] == ["sd_00000", "sd_00001"]
    rows = [int(path.stem[-6:]) for path in written]
    for path, expected in zip(written, voxel_deviations(run, rows), strict=True):
        np.testing.assert_allclose(read_volume(path), expected, rtol=1e-6)
    assert main(["volumes", str(run.path), "-o", str(tmp_path / "out"), "--sd", "--format", "gif"]) == 2
