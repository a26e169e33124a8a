import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import BOX, anchor_generator, fourier_generator, normal, seeded
from safetensors.torch import save_file

from temporem.errors import UserError
from temporem.model.generators import Generator
from temporem.model.store import KINDS, build_generator, load_generator, save_generator
from temporem.physics.lattice import half_disc
from temporem.physics.rotations import random_rotations

CPU = torch.device("cpu")


def scaled() -> Generator:
    generator = fourier_generator("positional", seed=3)
    generator.scale_to(torch.rand(BOX // 2 + 1, generator=seeded()))
    return generator


MADE: dict[str, Callable[[], Generator]] = {
    "network": fourier_generator,
    "scaled network": scaled,
    "anchors": anchor_generator,
    "network on anchors": lambda: fourier_generator(base=anchor_generator()),
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE.keys())
def test_what_is_read_is_what_was_written(made: Callable[[], Generator], tmp_path: Path) -> None:
    generator = made()
    if getattr(generator, "base", None) is not None:
        torch.nn.init.normal_(generator.output.weight)
    save_generator(tmp_path, generator)
    found = load_generator(tmp_path, CPU)
    z, rotation, frequency = normal(3, 2), random_rotations(3, seeded()), half_disc(BOX).frequency
    assert type(found) is type(generator)
    assert torch.equal(found.slices(z, rotation, frequency), generator.slices(z, rotation, frequency))
    assert torch.equal(found.volumes(z), generator.volumes(z))


@pytest.mark.parametrize("made", MADE.values(), ids=MADE.keys())
def test_descriptions_survive_json_and_building(made: Callable[[], Generator]) -> None:
    description = made().describe()
    rebuilt = build_generator(json.loads(json.dumps(description)))
    assert rebuilt.describe() == description


def test_saving_again_replaces(tmp_path: Path) -> None:
    save_generator(tmp_path, anchor_generator())
    save_generator(tmp_path, fourier_generator())
    assert torch.equal(
        load_generator(tmp_path, CPU).volumes(normal(1, 2)), fourier_generator().volumes(normal(1, 2))
    )
    assert {path.name for path in tmp_path.iterdir()} == {"generator.json", "generator.safetensors"}


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def overwrite(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: folder.joinpath(name).write_bytes(content) and None


def cut_short(folder: Path) -> None:
    path = folder / "generator.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def without_a_weight(folder: Path) -> None:
    state = fourier_generator().state_dict()
    state.pop("output.bias")
    save_file(state, folder / "generator.safetensors")


def described_otherwise(**changes: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "generator.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


DAMAGES = {
    "no description": remove("generator.json"),
    "no weights": remove("generator.safetensors"),
    "empty description": overwrite("generator.json", b""),
    "not JSON": overwrite("generator.json", b"{kind: fourier"),
    "not text": overwrite("generator.json", b"\xff\xfe\x00"),
    "a list": overwrite("generator.json", b"[1, 2]"),
    "a number": overwrite("generator.json", b"3"),
    "nothing in it": overwrite("generator.json", b"{}"),
    "unknown kind": described_otherwise(kind="wavelets"),
    "settings missing": described_otherwise(config={}),
    "settings unknown": described_otherwise(config={"box_size": 12, "latent_dim": 2, "colour": "red"}),
    "another size": described_otherwise(config={"box_size": 12, "latent_dim": 3}),
    "a base without weights": described_otherwise(
        base={"kind": "anchors", "box_size": 12, "latent_dim": 2, "count": 2}
    ),
    "empty weights": overwrite("generator.safetensors", b""),
    "weights that are no weights": overwrite("generator.safetensors", b"something else" * 20),
    "weights cut short": cut_short,
    "a weight missing": without_a_weight,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_models_are_told_in_a_sentence(damage: Callable[[Path], None], tmp_path: Path) -> None:
    save_generator(tmp_path, fourier_generator())
    damage(tmp_path)
    with pytest.raises(UserError, match="missing, damaged or of another version") as caught:
        load_generator(tmp_path, CPU)
    message = str(caught.value)
    assert str(tmp_path) in message
    assert "\n" not in message


class Constant(Generator):
    """A kind that the package does not know: one number everywhere, at every state."""

    def __init__(self, box_size: int) -> None:
        super().__init__()
        self.box_size, self.latent_dim = box_size, 2
        self.level = torch.nn.Parameter(torch.zeros(()))

    def slices(self, z: torch.Tensor, rotation: torch.Tensor, frequency: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(z), len(frequency), dtype=torch.complex64)

    def volumes(self, z: torch.Tensor) -> torch.Tensor:
        return self.level.expand(len(z), *(self.box_size,) * 3)

    def describe(self) -> dict[str, Any]:
        return {"kind": "constant", "box_size": self.box_size}

    @classmethod
    def from_description(cls, description: dict[str, Any], build: object) -> "Constant":
        return cls(description["box_size"])


def test_a_new_kind_needs_one_entry_in_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Constant(8)
    torch.nn.init.constant_(generator.level, 3.0)
    save_generator(tmp_path, generator)
    with pytest.raises(UserError, match="unknown kind of generator 'constant'"):
        load_generator(tmp_path, CPU)
    monkeypatch.setitem(KINDS, "constant", Constant)
    assert torch.equal(
        load_generator(tmp_path, CPU).volumes(torch.zeros(1, 2)), torch.full((1, 8, 8, 8), 3.0)
    )
