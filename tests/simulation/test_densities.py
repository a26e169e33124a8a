from dataclasses import replace

import gemmi
import numpy as np
import pytest

from temporem.errors import UserError
from temporem.simulation.densities import DensityOptions, density
from temporem.simulation.structures import Structure

BOX, PIXEL = 32, 3.0
VACUUM = DensityOptions(solvent=False)


def globule(atoms: int = 300, b_factor: float | None = None, radius: float = 13.0) -> Structure:
    """Atoms at a protein's density in a ball."""
    generator = np.random.default_rng(0)
    direction = generator.normal(size=(atoms, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    positions = (direction * radius * generator.uniform(size=(atoms, 1)) ** (1 / 3)).astype(np.float32)
    b_factors = (
        generator.choice([10.0, 40.0, 90.0], size=atoms) if b_factor is None else np.full(atoms, b_factor)
    )
    names = np.full(atoms, "X")
    return Structure(
        positions,
        generator.choice([6, 7, 8, 16], size=atoms),
        b_factors.astype(np.float32),
        names,
        np.arange(atoms),
        names,
        names,
        "globule",
    )


def fourier_sum(structure: Structure, extra_b: float = 0.0) -> np.ndarray:
    """The same potential, term by term: sum over atoms of f(s) exp(−B s² / 4) exp(−2πi s·r)."""
    s = np.fft.fftfreq(BOX, PIXEL)
    squared = s[:, None, None] ** 2 + s[:, None] ** 2 + s**2
    total = np.zeros((BOX, BOX, BOX), complex)
    for position, element, b in zip(
        structure.positions, structure.elements, structure.b_factors, strict=True
    ):
        table = gemmi.Element(int(element)).c4322
        x, y, z = np.exp(-2j * np.pi * position[:, None].astype(float) * s)
        factor = sum(a * np.exp(-width * squared / 4) for a, width in zip(table.a, table.b, strict=True))
        total += factor * np.exp(-(b + extra_b) * squared / 4) * z[:, None, None] * y[:, None] * x
    total[BOX // 2] = 0
    total[:, BOX // 2] = 0
    total[..., BOX // 2] = 0
    return np.fft.fftshift(np.fft.ifftn(total).real) / PIXEL**3


@pytest.mark.parametrize("b_factor", [None, 0.0, 60.0])
def test_electron_scattering_is_the_fourier_sum_over_atoms(b_factor: float | None) -> None:
    structure = globule(60, b_factor)
    expected = fourier_sum(structure)
    found = density(structure, structure.positions, BOX, PIXEL, VACUUM).numpy()
    assert np.linalg.norm(found - expected) < 0.005 * np.linalg.norm(expected)


def test_blur_is_a_gaussian_of_that_sigma() -> None:
    structure = globule(60)
    expected = fourier_sum(structure, extra_b=8 * np.pi**2 * 2.5**2)
    options = DensityOptions(sigma_in_angstroms=2.5, solvent=False)
    found = density(structure, structure.positions, BOX, PIXEL, options).numpy()
    assert np.linalg.norm(found - expected) < 0.005 * np.linalg.norm(expected)


def test_solvent_is_displaced_where_the_molecule_is_and_nowhere_else() -> None:
    structure = globule(540)
    vacuum = density(structure, structure.positions, BOX, PIXEL, VACUUM).numpy()
    inside = vacuum - density(structure, structure.positions, BOX, PIXEL, DensityOptions()).numpy()
    distance = np.linalg.norm(np.indices(inside.shape) - BOX // 2, axis=0) * PIXEL
    assert inside[distance < 7].mean() == pytest.approx(0.07, rel=0.1)
    assert np.abs(inside[distance > 27]).max() < 0.007
    displaced_volume = inside.sum() * PIXEL**3 / 0.07
    assert displaced_volume == pytest.approx(4 / 3 * np.pi * 13**3, rel=0.35)


def test_gaussians_are_the_sum_of_the_formula() -> None:
    structure = globule(50)
    grid = (np.indices((BOX, BOX, BOX)).reshape(3, -1).T[:, ::-1] - BOX // 2) * PIXEL
    distance = np.linalg.norm(grid[:, None] - structure.positions[None], axis=-1)
    expected = np.exp(-0.5 * (distance / 2.2) ** 2) @ structure.elements / (2 * np.pi * 2.2**2) ** 1.5
    options = DensityOptions("gaussian", 2.2)
    found = density(structure, structure.positions, BOX, PIXEL, options).numpy().ravel()
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("options", [DensityOptions(), VACUUM, DensityOptions("gaussian")])
def test_a_shift_by_whole_voxels_shifts_the_density(options: DensityOptions) -> None:
    structure = globule(100)
    here = density(structure, structure.positions, BOX, PIXEL, options).numpy()
    moved = structure.positions + np.float32([2 * PIXEL, -PIXEL, 3 * PIXEL])
    there = density(structure, moved, BOX, PIXEL, options).numpy()
    expected = np.roll(here, (3, -1, 2), axis=(0, 1, 2))
    np.testing.assert_allclose(there, expected, atol=2e-3 * here.max())


@pytest.mark.parametrize("options", [DensityOptions(), DensityOptions("gaussian")])
def test_the_same_atoms_give_the_same_bits(options: DensityOptions) -> None:
    structure = globule()
    first, second = (density(structure, structure.positions, BOX, PIXEL, options) for _ in range(2))
    assert first.equal(second)


def test_what_does_not_fit_is_refused() -> None:
    structure = globule(10)
    outside = replace(structure, positions=structure.positions + 60)
    with pytest.raises(UserError, match="outside the box of 96 Å"):
        density(outside, outside.positions, BOX, PIXEL, DensityOptions())
    with pytest.raises(UserError, match="sigma is -1"):
        density(structure, structure.positions, BOX, PIXEL, DensityOptions(sigma_in_angstroms=-1.0))
