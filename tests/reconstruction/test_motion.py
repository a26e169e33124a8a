"""What moves, against a molecule of two bodies of which one turns about a hinge by the latent's angle."""

import math
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import pytest
import torch
from run_folders import movies
from torch import Tensor

from temporem.cli.main import main
from temporem.errors import UserError
from temporem.model.deformable_generator import DeformableGenerator, DeformableGeneratorConfig
from temporem.model.fields import DeformationField, OccupancyField
from temporem.reconstruction.motion import morph, open_motion, rigid_segments, write_motion
from temporem.reconstruction.run import Run
from temporem.reconstruction.volume_file import read_volume

BOX, PIXEL = 32, 3.0
CENTRE = BOX // 2 * PIXEL
ANGLES = torch.linspace(-0.5, 0.7, 9)


class Hinge(DeformationField):
    """What lies at x > 6 Å turns about the z axis by the state, in radians; the rest is still."""

    def __init__(self) -> None:
        super().__init__(1, 2, 2, torch.Generator())

    def forward(self, position: Tensor, z: Tensor) -> Tensor:
        turned = position[None] @ turns(z[:, 0]).mT - position
        return turned * (position[:, :1] > 6)


def turns(angle: Tensor) -> Tensor:
    c, s, o = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return torch.stack((c, -s, o, s, c, o, o, o, o + 1), dim=-1).unflatten(-1, (3, 3))


def body(centre: float, count: int, seed: int) -> Tensor:
    """Points in Å from the box's centre, in a ball."""
    points = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    points = points / points.norm(dim=-1, keepdim=True) * 9 * torch.rand(count, 1) ** (1 / 3)
    return points + torch.tensor([centre, 0, 0])


def molecule() -> Tensor:
    torch.manual_seed(0)
    return torch.cat((body(-14.0, 300, 0), body(20.0, 200, 1)))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    config = DeformableGeneratorConfig(BOX, 1, PIXEL)
    generator = DeformableGenerator(config, torch.Generator().manual_seed(0))
    generator.field = Hinge()
    generator.place(molecule() / PIXEL, 1.0)
    generator.amplitude = torch.ones(500)
    monkeypatch.setattr(Run, "generator", lambda run, device="cpu": generator)
    run = Run.create(tmp_path / "run", {"pixel_size_in_angstroms": PIXEL, "image_scale": 1.0})
    run.write_latents(movies({"a": 9}), ANGLES[:, None], torch.full((9, 1), 0.1))
    run.write_mask(torch.ones(BOX, BOX, BOX))
    return run


def test_canonical_undoes_carried(run: Run) -> None:
    field = open_motion(run)
    moved = field.carried(field.points, ANGLES[:, None])[-1]
    found, error = field.canonical(moved, ANGLES[-1:])
    assert (found - field.points).abs().max() < 0.01
    assert error.max() < 0.01


def test_two_bodies_are_told_apart_and_their_angle_is_found(run: Run) -> None:
    field = open_motion(run)
    position = field.carried(field.points, ANGLES[:, None])
    found = rigid_segments(field.points, position, field.weight, None, seed=0)
    assert found.label.tolist() == [0] * 300 + [1] * 200
    assert found.unexplained.max() < 1e-3
    np.testing.assert_allclose(found.angle_in_degrees[:, 1], torch.rad2deg(ANGLES.abs()), atol=0.02)


def test_one_body_that_tumbles_is_one_part(run: Run) -> None:
    field = open_motion(run)
    position = field.points @ turns(ANGLES).mT + torch.tensor([5.0, 0, -3.0])
    assert rigid_segments(field.points, position, field.weight, None, seed=0).count == 1


def test_files_of_a_motion(run: Run, tmp_path: Path) -> None:
    found = write_motion(run, tmp_path / "out", [0, 8], None, seed=0)
    middle = ANGLES[found.reference_image]
    parts = pd.read_csv(tmp_path / "out" / "parts.csv")
    turned = parts[parts["part"] == 2].set_index("image")["turn_against_part_1_in_degrees"]
    np.testing.assert_allclose(
        turned, [abs(math.degrees(x - middle)) for x in (ANGLES[0], ANGLES[8])], atol=0.1
    )

    saved = np.load(tmp_path / "out" / "motion.npz")
    at_reference = turns(middle[None])[0]
    arm = saved["part"] == 2
    np.testing.assert_allclose(saved["points"][arm] - CENTRE, molecule()[300:] @ at_reference.T, atol=1e-3)
    np.testing.assert_allclose(
        (saved["points"] + saved["displacement"][1])[arm] - CENTRE,
        molecule()[300:] @ turns(ANGLES[-1:])[0].T,
        atol=1e-3,
    )
    assert np.abs(saved["displacement"][:, ~arm]).max() == 0

    # The maps have at each voxel what the nearest point has, and lie on the volumes.
    place = tuple(np.round(saved["points"][arm][0] / PIXEL).astype(int)[::-1])
    near = np.linalg.norm(saved["points"] / PIXEL - np.array(place[::-1]), axis=1).argmin()
    amplitude = read_volume(tmp_path / "out" / "amplitude.mrc")
    assert float(amplitude[place]) == pytest.approx(saved["amplitude"][near])
    assert float(read_volume(tmp_path / "out" / "parts.mrc")[place]) == 2

    lines = (tmp_path / "out" / "arrows_00001_image_000008.bild").read_text().splitlines()
    arrows = np.array([line.split()[1:7] for line in lines if line.startswith(".arrow")], float)
    length = np.linalg.norm(arrows[:, 3:] - arrows[:, :3], axis=1)
    away = np.hypot(arrows[:, 0] - CENTRE, arrows[:, 1] - CENTRE)
    np.testing.assert_allclose(length, 2 * np.sin(float(ANGLES[8] - middle) / 2) * away, atol=0.01)


class Fading(OccupancyField):
    """The arm vanishes with the angle."""

    def __init__(self) -> None:
        super().__init__(1, 1, 2, torch.Generator())

    def forward(self, position: Tensor, z: Tensor) -> Tensor:
        return -z / math.pi * (position[:, 0] > 6)


def test_what_vanishes_is_written(run: Run, tmp_path: Path) -> None:
    generator = run.generator()
    assert isinstance(generator, DeformableGenerator)
    generator.occupancy_field = Fading()
    write_motion(run, tmp_path / "out", [0, 8], None, 0)
    saved = np.load(tmp_path / "out" / "motion.npz")
    arm = molecule()[:, 0] > 6
    there = 1 - ANGLES / math.pi
    expected = np.where(arm, there[[0, 8], None].numpy() / float(there.max()), 1)
    np.testing.assert_allclose(saved["occupancy"], expected, atol=1e-5)
    appearing = read_volume(tmp_path / "out" / "appearing.mrc")
    place = tuple(np.round(saved["points"][arm][0] / PIXEL).astype(int)[::-1])
    assert float(appearing[place]) == pytest.approx(float(there.std() / there.max()), rel=1e-3)


def write_model(path: Path, positions: Tensor) -> None:
    structure, model, chain = gemmi.Structure(), gemmi.Model(1), gemmi.Chain("A")
    for number, position in enumerate(positions.tolist(), start=1):
        residue, atom = gemmi.Residue(), gemmi.Atom()
        residue.name, residue.seqid = "GLY", gemmi.SeqId(str(number))
        atom.name, atom.element, atom.pos = "CA", gemmi.Element("C"), gemmi.Position(*position)
        residue.add_atom(atom)
        chain.add_residue(residue)
    model.add_chain(chain)
    structure.add_model(model)
    structure.write_pdb(str(path))


def test_atoms_follow_the_density(run: Run, tmp_path: Path) -> None:
    atoms = molecule()
    where = torch.where((atoms[:, :1] > 6)[None], atoms @ turns(ANGLES).mT, atoms) + CENTRE
    write_model(tmp_path / "model.pdb", where[6])
    found = morph(run, tmp_path / "model.pdb", tmp_path / "out", list(range(9)))
    assert found.image == 6
    assert found.correlation > 0.7
    carried = gemmi.read_structure(str(tmp_path / "out" / "morph.cif"))
    positions = np.array(
        [[a.pos.tolist() for c in model for r in c for a in r] for model in carried], dtype=np.float64
    )
    missed = np.sqrt(((positions - where.numpy()) ** 2).sum(-1).mean(-1))
    assert missed.max() < 0.5
    np.testing.assert_allclose(found.positions, positions, atol=1e-2)


def test_the_trajectory_is_of_the_models(run: Run, tmp_path: Path) -> None:
    libdcd = pytest.importorskip("MDAnalysis.lib.formats.libdcd")
    write_model(tmp_path / "model.pdb", molecule() + CENTRE)
    out = tmp_path / "out"
    assert main(["fit", str(run.path), str(tmp_path / "model.pdb"), "-o", str(out)]) == 0
    models = gemmi.read_structure(str(out / "morph.cif"))
    positions = [[a.pos.tolist() for c in model for r in c for a in r] for model in models]
    with libdcd.DCDFile(str(out / "morph.dcd")) as file:
        np.testing.assert_allclose(file.readframes().xyz, positions, atol=1e-2)
    assert gemmi.read_structure(str(out / "topology.pdb"))[0].count_atom_sites() == 500


@pytest.mark.parametrize("verb", ["motion", "fit"])
def test_an_image_that_is_not_there_is_refused_before_anything_is_written(
    verb: str, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "model.pdb", molecule() + CENTRE)
    (tmp_path / "rows.txt").write_text("3\n99\n")
    model = [str(tmp_path / "model.pdb")] if verb == "fit" else []
    rows = ["--index-file", str(tmp_path / "rows.txt")]
    assert main([verb, str(run.path), *model, "-o", str(tmp_path / "out"), *rows]) == 2
    assert "has no image 99" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


def test_a_model_elsewhere_is_refused(run: Run, tmp_path: Path) -> None:
    write_model(tmp_path / "model.pdb", molecule() - 100)
    with pytest.raises(UserError, match="lies outside the maps"):
        morph(run, tmp_path / "model.pdb", tmp_path / "out", [0])


@pytest.mark.parametrize("verb", ["motion", "fit"])
def test_volumes_that_do_not_move_one_density_are_refused(
    verb: str, tmp_path: Path, run: Run, known_generator: None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "model.pdb", molecule() + CENTRE)
    model = [str(tmp_path / "model.pdb")] if verb == "fit" else []
    assert main([verb, str(run.path), *model, "-o", str(tmp_path / "out")]) == 2
    assert "--generator deformable" in capsys.readouterr().err
