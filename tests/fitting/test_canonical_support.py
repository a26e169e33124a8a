import torch
from blob_movies import Molecule

from temporem.fitting.canonical_support import canonical_support, fullest_state

BOX = 32


def test_a_molecule_that_only_moves_is_begun_in_the_middle() -> None:
    assert fullest_state(Molecule(BOX).volumes(torch.linspace(0, 1, 5)), 2) == 2


def test_what_is_seldom_there_is_begun_where_it_is() -> None:
    """And what is not there in the beginning has no place in the support."""
    molecule = Molecule(BOX, arm_vanishes=True)
    state = torch.tensor([0.0, 0.8, 0.9, 1.0])
    volumes = molecule.volumes(state)
    assert fullest_state(volumes, 2) == 0
    arm = molecule.positions(state[:1])[0, -1].round().long() + BOX // 2
    x, y, z = arm.tolist()
    everywhere = torch.ones(BOX, BOX, BOX)
    assert float(canonical_support(volumes[0], everywhere)[z, y, x]) == 1
    assert float(canonical_support(volumes[3], everywhere)[z, y, x]) == 0
