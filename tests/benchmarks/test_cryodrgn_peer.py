import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from benchmark_scripts import load_benchmark

from temporem.evaluation.evaluate import evenly
from temporem.evaluation.evaluation_folder import read_evaluation
from temporem.evaluation.scoring import scorer_of
from temporem.reconstruction.volume_file import read_volume, write_volume
from temporem.simulation.truth import Truth

PIXEL_SIZE = 2.0
NOISE = {1: 2.0, 2: 0.1, 3: 1.0}
"""Of the stand-in's volumes by epoch, as a share of their standard deviation."""


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return load_benchmark("cryodrgn_peer")


class StandIn:
    """cryoDRGN as far as scoring sees it: its volumes are the truth with noise, its latents the rows."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.calls: list[str] = []

    def __call__(self, environment: Path, arguments: list[str], log: Path, times: Path | None = None) -> None:
        self.calls.append(arguments[0])
        output = Path(arguments[arguments.index("-o") + 1])
        if arguments[0] == "backproject_voxel":
            output.mkdir()
            mean = self.truth.volume(np.arange(len(self.truth))).mean(dim=0)
            write_volume(output / "backproject.mrc", mean, PIXEL_SIZE)
        elif arguments[0] == "eval_vol":
            noise = NOISE[int(Path(arguments[1]).suffixes[0][1:])]
            random = torch.Generator().manual_seed(0)
            rows = np.loadtxt(arguments[arguments.index("--zfile") + 1], ndmin=1).astype(int)
            for index, volume in enumerate(self.truth.volume(rows)):
                noisy = volume + noise * volume.std() * torch.randn(volume.shape, generator=random)
                write_volume(output / f"v{index:03d}.mrc", noisy, PIXEL_SIZE)
        else:
            raise AssertionError(f"nothing asked for {arguments[0]}")


@pytest.fixture
def run_benchmark(
    benchmark: ModuleType, simulation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[str]]:
    """Score what a finished training left, and return what was asked of cryoDRGN."""
    stand_in = StandIn(Truth.load(simulation))
    folder = tmp_path / simulation.name
    (folder / "trained").mkdir(parents=True)
    for name in ("poses.pkl", "ctf.pkl", "trained/weights.3.pkl"):
        (folder / name).touch()
    latents = np.arange(len(stand_in.truth), dtype=np.float32)[:, None]
    for epoch in NOISE:
        (folder / f"trained/z.{epoch}.pkl").write_bytes(pickle.dumps(latents))
    (folder / "seconds.csv").write_text("1,10,8\n2,10,8\n2,20,9\n3,20,9\n")
    monkeypatch.setattr(benchmark, "peer", stand_in)
    monkeypatch.setattr(benchmark, "install", lambda environment: None)
    arguments = [str(tmp_path), str(simulation), "--epochs", "3", "--every", "1"]
    monkeypatch.setattr(sys, "argv", ["", *arguments, "--frames", "12", "--frames-per-epoch", "4"])

    def run() -> list[str]:
        stand_in.calls.clear()
        benchmark.main()
        return stand_in.calls

    return run


def test_the_best_epoch_is_scored_as_a_run_is_and_finished_work_is_kept(
    run_benchmark: Callable[[], list[str]], benchmark: ModuleType, simulation: Path, tmp_path: Path
) -> None:
    assert run_benchmark() == ["backproject_voxel", *["eval_vol"] * (len(NOISE) + 1)]
    for name in (benchmark.PEER, benchmark.MASKED):
        evaluation = read_evaluation(tmp_path / simulation.name / name)
        assert list(evaluation.frames.index) == evenly(range(len(Truth.load(simulation))), 12)
        assert evaluation.summary["epoch"] == 2
        # The epoch that was trained twice counts once.
        assert evaluation.summary["seconds"] == 30
        assert evaluation.summary["core_seconds"] == 17
        assert evaluation.fsc["molecule"][:, 1:6].min() > 0.95
    table = pd.read_csv(tmp_path / "table.csv")
    assert list(table["epoch"]) == [1, 2, 3, 2] * 2
    assert list(table["note"].dropna()) == ["best", "best"]
    made, masked = table.query("epoch == 1")["whole (Å)"]
    assert masked < made
    assert run_benchmark() == []


def test_a_consensus_of_other_hand_or_sign_is_told(
    run_benchmark: Callable[[], list[str]], benchmark: ModuleType, simulation: Path, tmp_path: Path
) -> None:
    truth = Truth.load(simulation)
    scorer = scorer_of(truth)
    mean = truth.volume(np.arange(len(truth))).mean(dim=0)

    def agreement(volume: torch.Tensor) -> float:
        return float(benchmark.agreement_at_low_frequencies(volume, truth, scorer))

    assert agreement(mean) > 0.99
    for wrong in (mean.flip(0), mean.permute(2, 1, 0), mean.roll(1, dims=2), -mean):
        assert agreement(wrong) < benchmark.FSC_OF_EQUAL_PLACE
    run_benchmark()
    place = tmp_path / simulation.name / "back-projected" / "backproject.mrc"
    write_volume(place, read_volume(place).flip(0), PIXEL_SIZE)
    with pytest.raises(SystemExit, match="does not lie on the truth"):
        run_benchmark()


def test_the_solvents_level_leaves_no_step_at_the_mask(benchmark: ModuleType) -> None:
    mask = torch.zeros(4, 4, 4)
    mask[1:3, 1:3, 1:3] = 1
    torch.testing.assert_close(benchmark.under(3 + 2 * mask, mask), 2 * mask)
