from pathlib import Path

import numpy as np
import pytest

from temporem.experiments.structures import Structures


@pytest.fixture(scope="session")
def structures(tmp_path_factory: pytest.TempPathFactory) -> Structures:
    """A folder with a helix of twelve alanines under the id 1pep."""
    backbone = {
        "N": (1.55, -0.35, -0.9),
        "CA": (2.28, 0.0, 0.0),
        "C": (1.65, 0.45, 1.1),
        "O": (2.0, 0.85, 2.2),
    }
    lines = []
    for residue in range(12):
        for name, (radius, turn, rise) in backbone.items():
            angle = np.radians(100) * residue + turn
            x, y, z = radius * np.cos(angle), radius * np.sin(angle), 1.5 * residue + rise
            lines.append(
                f"ATOM  {len(lines) + 1:5d}  {name:<3s} ALA A{residue + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}"
                f"  1.00 20.00          {name[0]:>2s}"
            )
    folder: Path = tmp_path_factory.mktemp("structures")
    (folder / "1PEP_helix.pdb").write_text("\n".join([*lines, "END", ""]))
    return Structures(folder)
