import math

import pytest
import torch

from temporem.physics.rotations import (
    angular_distance,
    matrix_from_relion_angles,
    random_rotations,
    relion_angles_from_matrix,
    rotational_diffusion,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def about_z(angle: float) -> torch.Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)


def about_y(angle: float) -> torch.Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=torch.float64)


def random_angles(count: int) -> torch.Tensor:
    unit = torch.rand(count, 3, generator=seeded(), dtype=torch.float64)
    return (unit - torch.tensor([0.5, 0, 0.5])) * torch.tensor([2, 1, 2]) * math.pi


def test_matrix_is_psi_after_tilt_after_rot_each_turned_backwards():
    for rot, tilt, psi in random_angles(20):
        expected = about_z(-psi) @ about_y(-tilt) @ about_z(-rot)
        torch.testing.assert_close(matrix_from_relion_angles(torch.stack((rot, tilt, psi))), expected)


def test_third_row_is_the_viewing_direction_of_relion():
    rot, tilt, _ = angles = torch.tensor([0.3, 1.1, -2.0], dtype=torch.float64)
    direction = torch.stack((tilt.sin() * rot.cos(), tilt.sin() * rot.sin(), tilt.cos()))
    torch.testing.assert_close(matrix_from_relion_angles(angles)[2], direction)


def test_angles_return_from_their_matrix():
    angles = random_angles(200).reshape(20, 10, 3)
    torch.testing.assert_close(relion_angles_from_matrix(matrix_from_relion_angles(angles)), angles)


@pytest.mark.parametrize("tilt", [0.0, math.pi, 1e-9, 1e-6, 1e-4, math.pi - 1e-6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_matrix_returns_from_its_angles_at_gimbal_lock(tilt, dtype):
    angles = random_angles(100)
    angles[:, 1] = tilt
    rotation = matrix_from_relion_angles(angles.to(dtype))
    again = matrix_from_relion_angles(relion_angles_from_matrix(rotation))
    assert (again - rotation).abs().max() < 20 * torch.finfo(dtype).eps


def test_identity_is_no_turn_at_all():
    assert relion_angles_from_matrix(torch.eye(3)).tolist() == [0, 0, 0]


def test_random_rotations_are_rotations_and_uniform():
    rotation = random_rotations(20_000, seeded()).double()
    torch.testing.assert_close(
        rotation @ rotation.mT, torch.eye(3).double().expand_as(rotation), atol=1e-6, rtol=0
    )
    assert (torch.linalg.det(rotation) > 0).all()
    # Entries have mean 0 and variance 1/3; the angle ω has density (1 − cos ω) / π, so mean π/2 + 2/π.
    assert rotation.mean(dim=0).abs().max() < 5 * (1 / 3 / 20_000) ** 0.5
    assert ((rotation**2).mean(dim=0) - 1 / 3).abs().max() < 0.012
    angle = angular_distance(rotation, torch.eye(3).double().expand_as(rotation))
    assert angle.mean() == pytest.approx(math.pi / 2 + 2 / math.pi, abs=0.025)


def test_random_rotations_depend_on_the_seed_alone():
    assert torch.equal(random_rotations(5, seeded(3)), random_rotations(5, seeded(3)))
    assert not torch.equal(random_rotations(5, seeded(3)), random_rotations(5, seeded(4)))


@pytest.mark.parametrize("angle", [0.0, 1e-4, 0.5, 3.0])
def test_angular_distance_is_the_angle_between(angle):
    start = random_rotations(10, seeded()).double()
    turned = about_z(angle) @ start
    torch.testing.assert_close(
        angular_distance(start, turned), torch.full((10,), angle, dtype=torch.float64), atol=1e-5, rtol=0
    )


def test_diffusing_directions_forget_themselves_as_debye_says():
    count, coefficient = 6000, 0.4
    intervals = torch.tensor([0.05, 0.2, 2.0, 0.0])
    start = random_rotations(count, seeded())
    path = rotational_diffusion(start, coefficient, intervals, seeded(1))
    assert path.shape == (count, 5, 3, 3)
    assert torch.equal(path[:, 0], start)
    # Columns of A are where the molecule's axes point; all three forget alike.
    correlation = (path * path[:, :1]).sum(dim=-2).mean(dim=(0, 2))
    elapsed = torch.tensor([0.0, 0.05, 0.25, 2.25, 2.25])
    torch.testing.assert_close(correlation, torch.exp(-2 * coefficient * elapsed), atol=0.02, rtol=0)


def test_diffusion_takes_each_movies_own_intervals():
    start = random_rotations(2, seeded())
    intervals = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    path = rotational_diffusion(start, 0.5, intervals, seeded())
    torch.testing.assert_close(path[0], start[0].expand(3, 3, 3))
    assert angular_distance(path[1, 1], path[1, 2]) > 0.01


def test_long_diffusion_is_uniform_and_no_diffusion_is_rest():
    start = torch.eye(3).expand(1000, 3, 3)
    far = rotational_diffusion(start, 1e6, torch.tensor([1.0]), seeded())[:, 1]
    assert far.mean(dim=0).abs().max() < 5 * (1 / 3 / 1000) ** 0.5
    assert torch.equal(rotational_diffusion(start, 0.0, torch.tensor([1.0]), seeded())[:, 1], start)


def test_negative_diffusion_is_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        rotational_diffusion(torch.eye(3), -1.0, torch.tensor([1.0]), seeded())
    with pytest.raises(ValueError, match="must not be negative"):
        rotational_diffusion(torch.eye(3), 1.0, torch.tensor([-1.0]), seeded())
