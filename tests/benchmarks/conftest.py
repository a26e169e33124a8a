"""Movies that the benchmarks' stand-ins for other programs answer to."""

from pathlib import Path

import pytest

from temporem.simulation.densities import DensityOptions
from temporem.simulation.molecules import Torsion
from temporem.simulation.motions import ConstantSpeed
from temporem.simulation.options import MicroscopeOptions, SimulationOptions
from temporem.simulation.simulate import simulate


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Movies of a chain that bends in its middle; no two axes or hands of it are alike."""
    folder = tmp_path_factory.mktemp("chain")
    lines = []
    for residue in range(12):
        for name, offset in (("N", (0.0, 0.0, 0.0)), ("CA", (1.2, 0.8, 0.2)), ("C", (2.4, 0.1, 0.6))):
            x, y, z = (2.2 * residue + offset[0], 0.12 * residue**2 + offset[1], offset[2] + residue % 5)
            lines.append(
                f"ATOM  {len(lines) + 1:5d}  {name:<3s} ALA A{residue + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}"
                f"  1.00 20.00          {name[0]:>2s}"
            )
    (folder / "chain.pdb").write_text("\n".join([*lines, "END", ""]))
    options = SimulationOptions(
        molecule=Torsion(structure=str(folder / "chain.pdb"), residue=6),
        motion=ConstantSpeed(frames_per_pass=4.0, states=4),
        movies=10,
        frames=4,
        box_size=24,
        pixel_size_in_angstroms=2.0,
        snr=2.0,
        microscope=MicroscopeOptions(ctf=False),
        density=DensityOptions(method="gaussian", sigma_in_angstroms=2.5),
    )
    simulate(options, folder / "movies")
    return folder / "movies"
