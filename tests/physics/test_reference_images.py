"""Projections and CTF made by an independent program (deepmodeling/cemo): signs and handedness included."""

from pathlib import Path

import gemmi
import numpy as np
import pytest
import roma
import torch
from gaussians import correlation, volume_of

from temporem.physics.ctf import ContrastTransfer, contrast_transfer_function
from temporem.physics.lattice import half_disc
from temporem.physics.projection import central_slices, project
from temporem.physics.shifts import phase_shift
from temporem.physics.volumes import gridding_correction, volume_to_fourier

SHARED = Path(__file__).resolve().parents[3] / "shared"
IMAGES = SHARED / "reference_images"
STRUCTURE = SHARED / "structures" / "7bcq_chA_res177-330_noh_cen.pdb"
BOX, PIXEL_SIZE, SIGMA = 64, 3.0, 2.0

pytestmark = pytest.mark.skipif(not IMAGES.exists() or not STRUCTURE.exists(), reason="no ../shared")


def stored(name: str) -> dict[str, torch.Tensor]:
    with np.load(IMAGES / f"7bcq_c1_n10_{name}_noise-free_maxshift0px.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


def superposed(moving: torch.Tensor, fixed: torch.Tensor) -> torch.Tensor:
    """Least-squares superposition (Kabsch)."""
    rotation, translation = roma.rigid_points_registration(moving, fixed)
    return moving @ rotation.T + translation


def frame_at_90_degrees() -> torch.Tensor:
    """Atoms (1214, 3) in Å with psi of Gly249 turned by 90°, superposed on the start."""
    atoms = [
        (residue.seqid.num, atom) for residue in gemmi.read_pdb(str(STRUCTURE))[0][0] for atom in residue
    ]
    start = torch.tensor([atom.pos.tolist() for _, atom in atoms], dtype=torch.float64)
    names = [(number, atom.name) for number, atom in atoms]
    turning = torch.tensor([number > 249 or (number, name) == (249, "O") for number, name in names])
    pivot, end = start[names.index((249, "CA"))], start[names.index((249, "C"))]
    turn = roma.rotvec_to_rotmat((end - pivot) / (end - pivot).norm() * torch.pi / 2)
    turned = torch.where(turning[:, None], (start - pivot) @ turn.T + pivot, start)
    return superposed(turned, start)


def within_disc(images: torch.Tensor) -> torch.Tensor:
    """Without the frequencies beyond Nyquist's circle, which only images made pixel by pixel have."""
    disc = half_disc(BOX)
    return disc.to_images(disc.from_images(images))


@pytest.fixture(scope="module")
def scene() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The volume, rotations and translations that stand for their geometry."""
    # Their pixel i is centred at (i − 32 + 0.5) · 3 Å, and their atoms stand 1.5 Å off along each axis.
    volume = volume_of((frame_at_90_degrees() + 1.5) / PIXEL_SIZE, SIGMA / PIXEL_SIZE, BOX).float()
    rotation = roma.rotvec_to_rotmat(stored("noCTF")["rotvec"]).mT
    return volume, rotation, torch.full((len(rotation), 2), -0.5)


def test_central_slices_are_their_projections(scene):
    volume, rotation, translation = scene
    disc = half_disc(BOX)
    grid = volume_to_fourier(volume / gridding_correction(BOX, 2), padding=2)
    slices = central_slices(grid, rotation, disc.frequency, padding=2)
    images = disc.to_images(slices * phase_shift(disc.frequency, translation, BOX))
    assert correlation(images, within_disc(stored("noCTF")["images"])).min() > 0.999


def test_real_space_projections_are_their_projections(scene):
    # Atoms of σ = 0.67 pixels are blurred by resampling.
    assert correlation(project(*scene), stored("noCTF")["images"]).min() > 0.98


def test_ctf_is_the_negative_of_theirs():
    with_ctf, without = stored("ctf"), stored("noCTF")
    torch.testing.assert_close(with_ctf["rotvec"], without["rotvec"])
    zero = torch.zeros(len(with_ctf["kv"]))
    parameters = ContrastTransfer(
        defocus_u_in_angstroms=with_ctf["df1"],
        defocus_v_in_angstroms=with_ctf["df2"],
        defocus_angle=with_ctf["ang"],
        voltage_in_kilovolts=with_ctf["kv"],
        spherical_aberration_in_millimetres=with_ctf["cs_mm"],
        amplitude_contrast=with_ctf["w"],
        phase_shift=zero,
        b_factor_in_square_angstroms=zero,
    )
    disc = half_disc(BOX)
    ctf = contrast_transfer_function(parameters, disc.frequency / (BOX * PIXEL_SIZE))
    images = disc.to_images(-ctf * disc.from_images(without["images"]))
    assert correlation(images, within_disc(with_ctf["images"])).min() > 0.9999
