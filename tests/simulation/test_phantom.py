from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from temporem.errors import UserError
from temporem.simulation.densities import DensityOptions, density
from temporem.simulation.molecules import Phantom
from temporem.simulation.phantom import Change, PhantomRoute
from temporem.simulation.recipes import RECIPES
from temporem.simulation.simulate import simulate
from temporem.simulation.structures import rotation_onto
from temporem.simulation.truth import Truth

ENDS = np.array([0.0, 1.0])


def of_domain(route: PhantomRoute, number: int) -> np.ndarray:
    """Atoms of a domain; 0 is the body."""
    return route.structure.chain == "ABCDEF"[number]


def test_a_domain_turns_as_a_whole_and_the_body_rests() -> None:
    route = PhantomRoute(("turn", "still"), residues=40, seed=3, snapshots=11)
    first, last = route.positions(ENDS).astype(np.float64)
    for resting in (0, 2):
        assert np.array_equal(first[of_domain(route, resting)], last[of_domain(route, resting)])
    before, after = (x[of_domain(route, 1)] - x[of_domain(route, 1)].mean(axis=0) for x in (first, last))
    turn = rotation_onto(before, after)
    assert np.abs(before @ turn.T - after).max() < 1e-4
    assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(60, abs=0.01)


def test_a_domain_slides_along_the_body() -> None:
    route = PhantomRoute(("slide",), residues=40, seed=0, snapshots=11)
    first, last = route.positions(ENDS).astype(np.float64)
    moved = (last - first)[of_domain(route, 1)]
    assert np.linalg.norm(moved, axis=1) == pytest.approx(15, abs=1e-4)
    middle = (first + last) / 2
    outward = middle[of_domain(route, 1)].mean(axis=0) - middle[of_domain(route, 0)].mean(axis=0)
    assert abs(moved[0] @ outward) < 0.15 * 15 * np.linalg.norm(outward)


def test_helices_fill_a_protein_s_volume_and_do_not_lie_in_each_other() -> None:
    route = PhantomRoute(("still",), residues=120, seed=1, snapshots=2)
    alpha = route.structure.positions[of_domain(route, 1) & (route.structure.atom_name == "CA")]
    gyration = np.sqrt(np.square(alpha - alpha.mean(axis=0)).sum(axis=1).mean())
    # Of a globular protein of N residues, 2.2 N^0.38 Å (Skolnick, Kolinski & Ortiz 1997).
    assert gyration == pytest.approx(2.2 * 120**0.38, rel=0.15)
    distance = np.linalg.norm(alpha[:, None] - alpha, axis=-1)
    same_helix = np.abs(np.subtract.outer(np.arange(120), np.arange(120))) < 12
    assert np.percentile(distance[~same_helix], 0.1) > 2.5
    neighbours = np.linalg.norm(np.diff(alpha, axis=0), axis=1)
    assert np.median(neighbours) == pytest.approx(3.8, abs=0.1)


@pytest.mark.parametrize(
    "options",
    [DensityOptions(method="gaussian"), DensityOptions(solvent=False), DensityOptions()],
    ids=["gaussian", "vacuum", "solvent"],
)
def test_the_density_is_linear_in_the_occupancy(options: DensityOptions) -> None:
    route = PhantomRoute(("vanish", "appear"), residues=24, seed=0, snapshots=11)
    states = np.array([0.0, 0.5, 1.0])
    shares = route.occupancy(states)
    assert shares is not None
    (place,) = route.positions(states[:1])
    first, middle, last = (density(route.structure, place, 32, 4.0, options, x) for x in shares)
    assert torch.allclose(middle, (first + last) / 2, atol=1e-5 * float(middle.max()))


def test_atoms_of_occupancy_0_are_not_there() -> None:
    route = PhantomRoute(("appear",), residues=24, seed=0, snapshots=11)
    options = DensityOptions(method="gaussian")
    shares = route.occupancy(ENDS[:1])
    assert shares is not None
    (place,) = route.positions(ENDS[:1])
    body = of_domain(route, 0)
    found = density(route.structure, place, 32, 4.0, options, shares[0])
    assert torch.allclose(found, density(route.structure.select(body), place[body], 32, 4.0, options))


def test_a_phantom_that_only_moves_has_no_occupancy() -> None:
    assert PhantomRoute(("turn", "slide"), 24, 0, 5).occupancy(ENDS) is None


def test_the_same_seed_gives_the_same_molecule_and_another_does_not() -> None:
    one, again, other = (PhantomRoute(("turn",), 24, seed, 5).positions(ENDS) for seed in (4, 4, 5))
    assert np.array_equal(one, again)
    assert not np.allclose(one, other, atol=1)


@pytest.mark.parametrize(
    ("domains", "residues", "seed", "snapshots", "said"),
    [
        ((), 40, 0, 5, "0 domains"),
        (("turn",), 5, 0, 5, "5 residues"),
        (("turn",), 40, -1, 5, "seed is -1"),
        (("turn",), 40, 0, 1, "1 snapshots"),
    ],
)
def test_what_makes_no_molecule_ends_in_a_sentence(
    domains: tuple[Change, ...], residues: int, seed: int, snapshots: int, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        PhantomRoute(domains, residues, seed, snapshots)


def test_the_truth_keeps_the_occupancy(tmp_path: Path) -> None:
    options = RECIPES["phantom"][1]
    molecule = Phantom(residues=24, snapshots=5, domains=("vanish",))
    simulate(replace(options, molecule=molecule, movies=2, frames=5, box_size=32), tmp_path / "movies")
    truth = Truth.load(tmp_path / "movies")
    assert truth.occupancy is not None
    state = np.zeros(truth.number_of_conformations)
    state[truth.conformation] = truth.states["state"]
    vanishing = np.asarray(truth.occupancy)[:, truth.structure.chain == "B"]
    assert np.allclose(vanishing, 1 - state[:, None])
    mass = [float(truth.conformation_volume(k).sum()) for k in range(truth.number_of_conformations)]
    assert np.argsort(mass).tolist() == np.argsort(-state).tolist()
    np.save(tmp_path / "movies" / "truth" / "occupancy.npy", truth.occupancy[:, 1:])
    with pytest.raises(UserError, match="do not belong together"):
        Truth.load(tmp_path / "movies")
