import math

import pytest
import torch
from cases import normal, seeded

from temporem.model.encoding import CoordinateEncoding


def test_positional_is_the_papers_equation() -> None:
    n = 8
    encoding = CoordinateEncoding(n, "positional", seeded())
    k = [0.13, -0.5, 0.31]
    # Cycles per pixel in Eq. 12, cycles per box here.
    phases = [x * n * math.pi * (2 / n) ** (i / (n / 2 - 1)) for i in range(n // 2) for x in k]
    expected = torch.tensor([math.sin(p) for p in phases] + [math.cos(p) for p in phases])
    found = encoding(n * torch.tensor(k))
    assert found.shape == (encoding.width,) == (3 * n,)
    torch.testing.assert_close(found.sort().values, expected.sort().values)


@pytest.mark.parametrize("kind", ["positional", "gaussian"])
def test_each_pair_is_the_plane_wave_of_its_point(kind: str) -> None:
    encoding = CoordinateEncoding(16, kind, seeded())
    k = 5 * normal(4, 3)
    sine, cosine = encoding(k).chunk(2, dim=-1)
    wave = torch.exp(2j * torch.pi * (k @ encoding.points.T) / 16)
    torch.testing.assert_close(torch.complex(cosine, sine), wave, atol=1e-5, rtol=0)


def test_gaussian_points_cover_the_box_evenly_and_come_from_the_seed() -> None:
    points = CoordinateEncoding(256, "gaussian", seeded()).points
    assert points.shape == (384, 3)
    torch.testing.assert_close(points.T.cov(), 64.0**2 * torch.eye(3), rtol=0.25, atol=500)
    assert torch.equal(points, CoordinateEncoding(256, "gaussian", seeded()).points)
    assert not torch.equal(points, CoordinateEncoding(256, "gaussian", seeded(1)).points)
