"""Local resolution of volumes made alike to a known resolution, another one in each half of the box."""

import torch

from temporem.evaluation.local_resolution import local_resolution

BOX, PIXEL = 48, 3.0


def limited(volume: torch.Tensor, resolution: float) -> torch.Tensor:
    frequency = torch.fft.fftfreq(BOX, PIXEL)
    z, y, x = torch.meshgrid(frequency, frequency, frequency, indexing="ij")
    kept = (z**2 + y**2 + x**2).sqrt() < 1 / resolution
    return torch.fft.ifftn(torch.fft.fftn(volume) * kept).real


def noise(seed: int) -> torch.Tensor:
    return torch.randn(BOX, BOX, BOX, generator=torch.Generator().manual_seed(seed))


def halves() -> tuple[torch.Tensor, torch.Tensor]:
    """At x < 24 the same up to 15 Å and unlike beyond; the same everywhere at x ≥ 24."""
    shared = noise(0)
    left = torch.arange(BOX) < BOX // 2
    made = []
    for seed in (1, 2):
        own = noise(seed)
        unlike = limited(shared, 15.0) + own - limited(own, 15.0)
        made.append(torch.where(left, unlike, shared))
    return made[0], made[1]


def test_each_side_has_its_own_resolution() -> None:
    mask = torch.zeros(BOX, BOX, BOX)
    mask[10:38, 10:38, 4:44] = 1
    found = local_resolution(*halves(), mask, PIXEL)
    assert (found[mask == 0] == 0).all()
    # Shells of a window of 24 pixels are at 72 Å / k: 15 Å lies between the fourth and the fifth.
    coarse, fine = found[20:28, 20:28, 6:10], found[20:28, 20:28, 38:42]
    assert coarse.min() > 12
    assert coarse.max() < 18
    assert fine.max() < 2 * PIXEL + 0.5


def test_a_volume_with_itself_is_at_nyquist_everywhere() -> None:
    volume, mask = noise(3), torch.ones(BOX, BOX, BOX)
    found = local_resolution(volume, volume, mask, PIXEL)
    torch.testing.assert_close(found, torch.full_like(found, 2 * PIXEL), rtol=1e-4, atol=0)


def test_an_empty_mask_leaves_nothing() -> None:
    volume = noise(4)
    assert not local_resolution(volume, volume, torch.zeros_like(volume), PIXEL).any()
