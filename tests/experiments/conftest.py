import shutil
from pathlib import Path

import pytest

from temporem.experiments.structures import Structures


@pytest.fixture(scope="session")
def structures(peptide: Path, tmp_path_factory: pytest.TempPathFactory) -> Structures:
    """A folder with the peptide under the id 1pep."""
    folder = tmp_path_factory.mktemp("structures")
    shutil.copy(peptide, folder / "1PEP_helix.pdb")
    return Structures(folder)
