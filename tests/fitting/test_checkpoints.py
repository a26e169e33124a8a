import json
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from temporem.errors import UserError
from temporem.fitting.checkpoints import has_checkpoint, load_checkpoint, save_checkpoint, taking_up

TENSORS = {
    "weights": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
    "count": torch.tensor(7),
    "state": torch.Generator().manual_seed(3).get_state(),
}
FACTS = {"epoch": 3, "records": [{"loss": 0.1 + 0.2, "stage": "a"}], "betas": (0.9, 0.999), "none": None}


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    assert not has_checkpoint(tmp_path, "stage")
    save_checkpoint(tmp_path, "stage", TENSORS, FACTS)
    assert has_checkpoint(tmp_path, "stage")
    tensors, facts = load_checkpoint(tmp_path, "stage")
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[k], TENSORS[k]) and tensors[k].dtype == TENSORS[k].dtype for k in TENSORS)
    assert facts == FACTS | {"betas": [0.9, 0.999]}


def test_the_old_one_goes_when_the_new_one_is_whole(tmp_path: Path) -> None:
    for epoch in range(3):
        save_checkpoint(tmp_path, "stage", TENSORS, {"epoch": epoch})
    assert len(list(tmp_path.iterdir())) == 2
    assert load_checkpoint(tmp_path, "stage")[1] == {"epoch": 2}


def test_a_crash_while_saving_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, "stage", TENSORS, {"epoch": 1})
    monkeypatch.setattr("temporem.fitting.checkpoints.write_json", crash)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, "stage", {"weights": torch.zeros(1)}, {"epoch": 2})
    tensors, facts = load_checkpoint(tmp_path, "stage")
    assert facts == {"epoch": 1}
    assert torch.equal(tensors["weights"], TENSORS["weights"])


def crash(*_: object) -> None:
    raise KeyboardInterrupt


def test_names_that_begin_alike_keep_their_files(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "temporal", {"x": torch.ones(1)}, {"epoch": 1})
    save_checkpoint(tmp_path, "temporal-start", {"x": torch.zeros(1)}, {"epoch": 1})
    save_checkpoint(tmp_path, "temporal", {"x": 2 * torch.ones(1)}, {"epoch": 2})
    assert load_checkpoint(tmp_path, "temporal-start")[0]["x"].item() == 0
    save_checkpoint(tmp_path, "temporal-start", {"x": 3 * torch.ones(1)}, {"epoch": 5})
    assert load_checkpoint(tmp_path, "temporal")[0]["x"].item() == 2
    assert load_checkpoint(tmp_path, "temporal-start")[0]["x"].item() == 3


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_every_flipped_byte_is_found(tmp_path: Path, suffix: str) -> None:
    save_checkpoint(tmp_path, "stage", {"x": torch.arange(4.0)}, {"epoch": 12, "rate": 0.25, "on": True})
    (path,) = tmp_path.glob(f"*.{suffix}")
    whole = path.read_bytes()
    read = load_checkpoint(tmp_path, "stage")
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        facts = None
        # Some bytes are white space between the words of the JSON.
        with suppress(UserError):
            _, facts = load_checkpoint(tmp_path, "stage")
        assert facts is None or (suffix == "json" and facts == read[1])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"tensors": 1, "sha256": "", "facts": {}}'])
def test_a_file_that_is_no_description_is_refused(tmp_path: Path, text: str) -> None:
    save_checkpoint(tmp_path, "stage", TENSORS, FACTS)
    (tmp_path / "stage.json").write_text(text)
    with pytest.raises(UserError, match="cannot be read"):
        load_checkpoint(tmp_path, "stage")


@pytest.mark.parametrize("part", [0.2, 0.9])
@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, part: float) -> None:
    save_checkpoint(tmp_path, "stage", TENSORS, FACTS)
    (path,) = tmp_path.glob(f"*.{suffix}")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(UserError, match="start it anew"):
        load_checkpoint(tmp_path, "stage")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"stage\.json cannot be read"):
        load_checkpoint(tmp_path, "stage")
    save_checkpoint(tmp_path, "stage", TENSORS, FACTS)
    (tmp_path / json.loads((tmp_path / "stage.json").read_text())["tensors"]).unlink()
    with pytest.raises(UserError, match="cannot be read"):
        load_checkpoint(tmp_path, "stage")


def test_whole_tensors_that_are_no_safetensors_are_refused(tmp_path: Path) -> None:
    import hashlib

    save_checkpoint(tmp_path, "stage", TENSORS, FACTS)
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(b"text")
    described = json.loads((tmp_path / "stage.json").read_text())
    described["sha256"] = hashlib.sha256(b"text").hexdigest()
    (tmp_path / "stage.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match="is damaged"):
        load_checkpoint(tmp_path, "stage")


@pytest.mark.parametrize("error", [KeyError("base"), RuntimeError("size\nmismatch"), ValueError("kind")])
def test_what_does_not_fit_is_of_another_version(tmp_path: Path, error: Exception) -> None:
    with (
        pytest.raises(UserError, match=r"stage\.json is of another version") as raised,
        taking_up(tmp_path, "stage"),
    ):
        raise error
    assert "\n" not in str(raised.value)
