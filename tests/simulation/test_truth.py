import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from temporem.errors import UserError
from temporem.simulation.densities import DensityOptions
from temporem.simulation.structures import read_structure
from temporem.simulation.truth import Truth


@pytest.fixture
def truth(peptide: Path) -> Truth:
    structure = read_structure(peptide).centred()
    generator = np.random.default_rng(0)
    stretched = structure.positions * np.array([1.0, 1.3, 1.7], np.float32)[:, None, None]
    frames = 8
    states = pd.DataFrame(
        {
            "image": np.arange(frames),
            "movie": np.repeat(["007", "008"], 4),
            "frame": np.tile(np.arange(4), 2),
            "time": np.tile(np.arange(4.0), 2),
            "state": generator.random(frames),
            "category": np.arange(frames) % 3,
            "value": generator.random(frames) / 3,
            "conformation": [0, 1, 2, 1, 0, 0, 0, 2],
        }
    )
    return Truth(
        states=states,
        unit="stretches",
        rotation=np.tile(np.eye(3, dtype=np.float32), (frames, 1, 1)),
        translation_in_angstroms=generator.normal(size=(frames, 2)).astype(np.float32),
        structure=structure,
        positions=stretched,
        density=DensityOptions(method="gaussian", sigma_in_angstroms=2.5),
        box_size=16,
        pixel_size_in_angstroms=3.0,
        snr=0.1,
        noise_variance=5.0,
    )


def test_what_is_loaded_is_what_was_saved_bit_for_bit(truth: Truth, tmp_path: Path) -> None:
    truth.save(tmp_path / "truth")
    for folder in (tmp_path, tmp_path / "truth"):
        loaded = Truth.load(folder)
        pd.testing.assert_frame_equal(loaded.states, truth.states, check_exact=True)
        assert np.array_equal(loaded.rotation, truth.rotation)
        assert np.array_equal(loaded.translation_in_angstroms, truth.translation_in_angstroms)
        assert torch.equal(loaded.volume(np.arange(8)), truth.volume(np.arange(8)))
        assert (loaded.unit, loaded.snr, loaded.noise_variance) == ("stretches", 0.1, 5.0)
        assert loaded.signal_variance == pytest.approx(0.5)


def test_volumes_are_those_of_the_images_asked_for(truth: Truth) -> None:
    rows = np.array([7, 1, 1])
    volumes = truth.volume(rows)
    assert volumes.shape == (3, 16, 16, 16)
    for volume, conformation in zip(volumes, (2, 1, 1), strict=True):
        assert torch.equal(volume, truth.conformation_volume(conformation))
    assert not torch.equal(volumes[0], volumes[1])
    streamed = list(truth.volumes())
    assert len(streamed) == len(truth) == 8
    assert truth.number_of_conformations == 3
    assert torch.equal(torch.stack(streamed), truth.volume(np.arange(8)))


def test_changing_a_volume_does_not_change_the_truth(truth: Truth) -> None:
    before = truth.conformation_volume(0)
    truth.conformation_volume(0).zero_()
    assert torch.equal(truth.conformation_volume(0), before)


def test_nothing_is_pickled(truth: Truth, tmp_path: Path) -> None:
    truth.save(tmp_path)
    for path in tmp_path.glob("*.np*"):
        loaded = np.load(path, allow_pickle=False)
        for array in loaded.values() if path.suffix == ".npz" else [loaded]:
            assert array.dtype != object


@pytest.mark.parametrize("name", ["truth.json", "states.csv", "poses.npz", "positions.npy", "structure.npz"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "nonsense"])
def test_a_damaged_truth_is_a_sentence(truth: Truth, tmp_path: Path, name: str, damage: str) -> None:
    truth.save(tmp_path)
    path = tmp_path / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut": path.read_bytes()[:50], "nonsense": b"\x00nonsense"}[damage])
    with pytest.raises(UserError, match=r"simulate"):
        Truth.load(tmp_path)


def test_a_truth_of_parts_that_do_not_belong_together_is_a_sentence(truth: Truth, tmp_path: Path) -> None:
    truth.save(tmp_path)
    np.save(tmp_path / "positions.npy", truth.positions[:1])
    with pytest.raises(UserError, match="belong together"):
        Truth.load(tmp_path)


def test_a_truth_of_another_version_is_a_sentence(truth: Truth, tmp_path: Path) -> None:
    truth.save(tmp_path)
    facts = json.loads((tmp_path / "truth.json").read_text())
    (tmp_path / "truth.json").write_text(json.dumps(facts | {"format": 99}))
    with pytest.raises(UserError, match="another version"):
        Truth.load(tmp_path)
