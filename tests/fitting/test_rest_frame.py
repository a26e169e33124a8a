"""Of the frames of reference that images leave open, the one in which a molecule moves least."""

import numpy as np
import roma
import torch
from blob_movies import Molecule, blob_store, swinging
from scipy.spatial.transform import Rotation

from temporem.fitting.poses.found import Poses
from temporem.fitting.poses.rest_frame import at_rest
from temporem.fitting.poses.superposition import from_frame, mean_place, superposed
from temporem.physics.pose_alignment import align_poses
from temporem.physics.rotations import angular_distance, random_rotations

STATES, POINTS = 6, 40


def places_of(bent_by: float) -> tuple[torch.Tensor, torch.Tensor]:
    """States of a molecule that bends, each turned a little and moved somewhere; and the points' weights."""
    rng = np.random.default_rng(1)
    still, slope = 10 * rng.normal(size=(2, POINTS, 3))
    bent = still + bent_by * np.linspace(-0.1, 0.1, STATES)[:, None, None] * slope
    turns = Rotation.from_rotvec(rng.uniform(-0.17, 0.17, size=(STATES, 3))).as_matrix()
    places = np.einsum("sij,spj->spi", turns, bent) + rng.normal(size=(STATES, 1, 3))
    return torch.from_numpy(places), torch.from_numpy(rng.uniform(0.2, 1.0, POINTS))


def rested(places: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    turn, offset = superposed(mean_place(places, weight), places, weight)
    return torch.einsum("sij,spj->spi", turn, places) + offset[:, None], turn


def test_what_is_rigid_is_brought_to_a_stand() -> None:
    places, weight = places_of(bent_by=0.0)
    still, turn = rested(places, weight)
    torch.testing.assert_close(still, still[:1].expand_as(still))
    identity = torch.eye(3, dtype=places.dtype).expand_as(turn)
    torch.testing.assert_close(turn @ turn.mT, identity)
    # On the whole nothing is turned or moved.
    mean = turn.mean(0)
    torch.testing.assert_close(mean, mean.mT)
    centres = [torch.einsum("p,spi->i", weight / weight.sum(), x) / STATES for x in (still, places)]
    torch.testing.assert_close(*centres)


def test_states_that_bend_lie_on_their_mean_as_scipy_superposes_them() -> None:
    places, weight = places_of(bent_by=1.0)
    still, _ = rested(places, weight)
    centred = (still - torch.einsum("p,spi->si", weight / weight.sum(), still)[:, None]).numpy()
    mean = centred.mean(0)
    for state in centred:
        further, _ = Rotation.align_vectors(mean, state, weights=weight.numpy())
        assert further.magnitude() < 1e-4
    before = (places - places.mean(0)).square().sum(-1) @ weight
    after = (still - still.mean(0)).square().sum(-1) @ weight
    assert after.sum() < 0.2 * before.sum()


def test_images_stay_what_they_are() -> None:
    generator = torch.Generator().manual_seed(0)
    poses = Poses(random_rotations(STATES, generator), torch.randn(STATES, 2, generator=generator))
    turn, offset = random_rotations(STATES, generator), torch.randn(STATES, 3, generator=generator)
    points = torch.randn(STATES, POINTS, 3, generator=generator)
    moved = torch.einsum("sij,spj->spi", turn, points) + offset[:, None]
    seen = [
        torch.einsum("sij,spj->spi", at.rotation, x)[..., :2] + at.translation_in_pixels[:, None]
        for at, x in ((poses, points), (from_frame(poses, turn, offset), moved))
    ]
    torch.testing.assert_close(*seen, atol=1e-5, rtol=1e-5)


def test_poses_that_turn_with_the_state_are_brought_to_rest() -> None:
    box, state = 24, swinging(24, 10)
    store = blob_store(state, box, snr=8.0)
    true, each = Poses(store._rotation, store._shift), state.flatten()
    places, weight = Molecule(box).positions(each), torch.ones(8)
    rest = from_frame(true, *superposed(mean_place(places, weight), places, weight))
    about = torch.tensor([0.2, -0.3, 0.4])
    given = from_frame(rest, roma.rotvec_to_rotmat((each[:, None] - 0.5) * about), torch.zeros(len(each), 3))
    found = at_rest(store.unposed(), given, torch.Generator().manual_seed(0))
    assert off_in_degrees(found, rest) < 0.5 * off_in_degrees(given, rest)


def off_in_degrees(poses: Poses, goal: Poses) -> float:
    """Of the median frame, after one rotation and shift for all."""
    own = (poses.rotation, poses.translation_in_pixels)
    turned, _ = align_poses((goal.rotation, goal.translation_in_pixels), own).poses(
        goal.rotation, goal.translation_in_pixels
    )
    return float(torch.rad2deg(angular_distance(turned.float(), poses.rotation)).median())
