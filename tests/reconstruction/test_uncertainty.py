"""Posterior samples and standard deviations of voxels, against what is known of Gaussians."""

from collections.abc import Iterator
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
from temporem.reconstruction.uncertainty import SHARED, drawn_states, fit_error, voxel_deviations
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


def write_halves(run: Run, spread: float, correlation: Tensor) -> None:
    """What `temporem halves` leaves: an even spread, and a curve from shell 1."""
    write_volume(run.path / "halves" / "spread.mrc", torch.full((2 * len(correlation),) * 3, spread), 3.0)
    curves = [pd.DataFrame({"curve": name, "fsc": correlation}) for name in ("corrected", "floor")]
    pd.concat(curves).to_csv(run.path / "halves" / "fsc.csv", index=False)
    agreed = {"corrected": {"mean_over_frames": 0.0}}
    write_json(run.path / "halves" / "halves.json", {"resolution_in_angstroms": agreed})


def test_the_halves_difference_joins_as_independent(run: Plane) -> None:
    (of_state,) = voxel_deviations(run, [0])
    assert fit_error(run) is None
    write_halves(run, 0.7, torch.ones(BOX // 2))
    (both,) = voxel_deviations(run, [0])
    np.testing.assert_allclose(both, (of_state.square() + 0.49).sqrt(), rtol=1e-5)


def test_what_a_wiener_filter_left_out_is_held(run: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """White density in white noise: the error of its posterior mean, from its correlation with the truth, and
    what is held for errors that halves share."""
    generator, noise, box = torch.Generator().manual_seed(0), 0.8, 24
    true, wrong = torch.randn(2, box, box, box, generator=generator)
    mean = (true + noise * wrong) / (1 + noise**2)
    monkeypatch.setattr(run, "volumes_at", lambda states, device="cpu": iter([mean] * len(states)))
    correlation = float(torch.corrcoef(torch.stack((true.flatten(), mean.flatten())))[0, 1])
    write_halves(run, 0.0, torch.full((box // 2,), correlation))
    shell = 9.0
    (found,) = voxel_deviations(run, [0], len(run.mask()) * run.pixel_size_in_angstroms / shell)
    error, expected = (low_passed(x, shell).square().mean().sqrt() for x in (mean - true, wrong))
    expected = expected * noise / (1 + noise**2) ** 0.5
    np.testing.assert_allclose(error, expected, rtol=0.03)
    np.testing.assert_allclose(found.square().mean().sqrt(), error * SHARED**0.5, rtol=0.03)


def test_nothing_is_said_to_be_missing_beyond_the_first_shell_that_halves_disagree_in(run: Plane) -> None:
    curve = torch.ones(BOX // 2)
    curve[1], curve[2:] = 0.4, 0.6
    write_halves(run, 0.0, curve)
    fit = fit_error(run)
    assert fit is not None
    assert not fit.missing.any()


def test_halves_cut_short_are_a_sentence(run: Plane) -> None:
    write_halves(run, 0.0, torch.ones(BOX // 2))
    (run.path / "halves" / "halves.json").write_text('{"resolution')
    with pytest.raises(UserError, match="run temporem halves again"):
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
