import math

import numpy as np
import torch

from temporem.report.surfaces import level_enclosing, random_views, render_surface, telling_view


def ball(n: int, radius: float, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> torch.Tensor:
    """A smooth ball; radius and centre (x, y, z) in units of half the box."""
    axis = torch.linspace(-1, 1, n)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    distance = torch.stack((x - centre[0], y - centre[1], z - centre[2])).norm(dim=0)
    return torch.sigmoid((radius - distance) * 20)


def test_a_ball_covers_a_disc_of_its_radius_from_everywhere() -> None:
    for view in random_views(3, seed=1):
        picture = render_surface(ball(32, 0.5), 0.5, view, (1.0, 1.0, 1.0), size=120)
        covered = (picture[..., 3] / 255).sum() / 120**2
        assert math.isclose(covered, math.pi * 0.5**2 / 4, rel_tol=0.02)


def test_x_is_right_and_y_is_down_and_near_hides_far() -> None:
    beside = render_surface(ball(32, 0.2, (0.5, 0.0, 0.0)), 0.5, torch.eye(3), (1.0, 1.0, 1.0), size=100)
    below = render_surface(ball(32, 0.2, (0.0, 0.5, 0.0)), 0.5, torch.eye(3), (1.0, 1.0, 1.0), size=100)
    assert beside[50, 75, 3] == 255
    assert below[75, 50, 3] == 255
    near = render_surface(ball(32, 0.2, (0.0, 0.0, -0.6)), 0.5, torch.eye(3), (1.0, 1.0, 1.0), size=100)
    far = render_surface(ball(32, 0.2, (0.0, 0.0, 0.6)), 0.5, torch.eye(3), (1.0, 1.0, 1.0), size=100)
    assert near[50, 50, 0] > far[50, 50, 0]


def test_the_lamp_is_above_on_the_left() -> None:
    picture = render_surface(ball(32, 0.6), 0.5, torch.eye(3), (0.6, 0.6, 0.6), size=100)[..., 0].astype(int)
    assert picture[35, 35] > picture[65, 65]


def test_zoom_two_doubles_what_is_seen() -> None:
    plain = render_surface(ball(32, 0.4), 0.5, torch.eye(3), (1.0, 1.0, 1.0), size=100)[..., 3]
    near = render_surface(ball(32, 0.4), 0.5, torch.eye(3), (1.0, 1.0, 1.0), size=100, zoom=2.0)[..., 3]
    assert np.isclose(near.sum() / plain.sum(), 4, rtol=0.03)


def test_nothing_above_the_level_leaves_an_empty_picture() -> None:
    assert render_surface(ball(32, 0.4), 2.0, torch.eye(3), (1.0, 1.0, 1.0), size=40).max() == 0


def test_a_level_encloses_as_many_voxels_as_asked() -> None:
    volume = torch.randn(12, 12, 12, generator=torch.Generator().manual_seed(0))
    assert int((volume >= level_enclosing(volume, 100)).sum()) == 100
    assert level_enclosing(volume, 10**9) == float(volume.min())


def test_views_are_rotations() -> None:
    views = random_views(10, seed=3)
    torch.testing.assert_close(views @ views.mT, torch.eye(3).expand(10, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(views), torch.ones(10))


def test_the_telling_view_sees_the_motion_from_the_side() -> None:
    view = telling_view(ball(24, 0.2, (0.0, 0.0, -0.3)), ball(24, 0.2, (0.0, 0.0, 0.3)))
    # What moves along z of the volume should move across the picture: little of it along the line of sight.
    assert abs(float((view @ torch.tensor([0.0, 0.0, 1.0]))[2])) < 0.4
