"""Poses and volumes of another program, in a frame of reference of its own, are brought to the truth."""

import pickle
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import roma
import torch
from benchmark_scripts import load_benchmark

from temporem.evaluation.evaluation_folder import read_evaluation
from temporem.physics.pose_alignment import Alignment
from temporem.reconstruction.volume_file import write_volume
from temporem.simulation.truth import Truth


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return load_benchmark("cryodrgn_abinit")


def elsewhere(truth: Truth) -> Truth:
    """The same molecule and images, turned and moved, in the other hand."""
    turn = roma.rotvec_to_rotmat(torch.tensor([0.4, -0.9, 1.2], dtype=torch.float64))
    alignment = Alignment(turn, True, torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    known = (
        torch.from_numpy(np.array(truth.rotation)),
        torch.from_numpy(np.array(truth.translation_in_angstroms)),
    )
    rotation, translation = alignment.poses(*(x.double() for x in known))
    positions = alignment.points(torch.from_numpy(np.array(truth.positions)).double())
    return replace(
        truth,
        rotation=rotation.float().numpy(),
        translation_in_angstroms=translation.float().numpy(),
        positions=positions.float().numpy(),
    )


def test_its_own_frame_of_reference_costs_nothing(
    benchmark: ModuleType, simulation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = elsewhere(Truth.load(simulation))
    folder = tmp_path / simulation.name
    (folder / "trained").mkdir(parents=True)
    rows = np.arange(len(own), dtype=np.float32)[:, None]
    # The last epoch was cut off before it wrote its poses.
    for epoch in (1, 2):
        (folder / f"trained/weights.{epoch}.pkl").touch()
    (folder / "trained/z.1.pkl").write_bytes(pickle.dumps(rows))
    boxes = -own.translation_in_angstroms / (own.box_size * own.pixel_size_in_angstroms)
    (folder / "trained/pose.1.pkl").write_bytes(pickle.dumps((own.rotation, boxes)))

    def stand_in(environment: Path, arguments: list[str], log: Path, times: Path | None = None) -> None:
        assert arguments[:2] == ["eval_vol", str(folder / "trained/weights.1.pkl")]
        output = Path(arguments[arguments.index("-o") + 1])
        asked = np.loadtxt(arguments[arguments.index("--zfile") + 1], ndmin=1).astype(int)
        for index, volume in enumerate(own.volume(asked)):
            write_volume(output / f"v{index:03d}.mrc", volume, own.pixel_size_in_angstroms)

    monkeypatch.setattr(benchmark, "peer", stand_in)
    words = benchmark.score(tmp_path, simulation, folder, 12)
    assert words.startswith("epoch 1, poses 0.0° and 0.0 Å")
    evaluation = read_evaluation(folder / benchmark.PEER)
    assert evaluation.summary["alignment"]["mirrored"]
    assert evaluation.fsc["molecule"][:, 1:10].min() > 0.99
