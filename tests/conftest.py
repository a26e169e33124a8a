import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Machines differ, and are busy: no test is of how long something takes.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# A shell ignores SIGINT for what it runs in the background, and with it every Ctrl-C that tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def peptide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A helix of twelve alanines as a PDB file."""
    backbone = {
        "N": (1.55, -0.35, -0.9),
        "CA": (2.28, 0.0, 0.0),
        "C": (1.65, 0.45, 1.1),
        "O": (2.0, 0.85, 2.2),
        "CB": (3.3, -0.6, 0.3),
    }
    lines = []
    for residue in range(12):
        for name, (radius, turn, rise) in backbone.items():
            angle = np.radians(100) * residue + turn
            x, y, z = radius * np.cos(angle), radius * np.sin(angle), 1.5 * residue + rise
            lines.append(
                f"ATOM  {len(lines) + 1:5d}  {name:<3s} ALA A{residue + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}"
                f"  1.00{20 + 2 * residue:6.2f}          {name[0]:>2s}"
            )
    path = tmp_path_factory.mktemp("structures") / "peptide.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    return path
