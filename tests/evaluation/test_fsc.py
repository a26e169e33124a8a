import numpy as np
import pytest
import torch

from temporem.evaluation.fsc import fourier_shell_correlation, largest_k_above, resolution_at


def full_transform_fsc(a, b):
    """The definition, written out over all n³ coefficients."""
    n = len(a)
    fa, fb = np.fft.fftn(a), np.fft.fftn(b)
    k = np.fft.fftfreq(n, 1 / n)
    shell = np.round(np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2)).astype(int)
    curve = []
    for index in range(n // 2 + 1):
        inside = shell == index
        cross = np.sum(fa[inside] * fb[inside].conj()).real
        curve.append(cross / np.sqrt(np.sum(abs(fa[inside]) ** 2) * np.sum(abs(fb[inside]) ** 2)))
    return np.array(curve)


@pytest.mark.parametrize("box", [15, 16])
def test_equals_the_definition(box):
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(3, box, box, box, generator=generator)
    b = 0.5 * a + torch.randn(3, box, box, box, generator=generator)
    got = fourier_shell_correlation(a, b)
    expected = np.stack([full_transform_fsc(x.numpy(), y.numpy()) for x, y in zip(a, b, strict=True)])
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)


def test_does_not_change_with_gain():
    a, b = torch.randn(2, 16, 16, 16, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(fourier_shell_correlation(3 * a, b), fourier_shell_correlation(a, b))
    torch.testing.assert_close(fourier_shell_correlation(-a, b), -fourier_shell_correlation(a, b))


def test_signal_and_noise_of_equal_power_correlate_by_the_square_root_of_a_half():
    signal, noise = torch.randn(2, 32, 32, 32, generator=torch.Generator().manual_seed(3))
    assert fourier_shell_correlation(signal, signal + noise)[8:].mean() == pytest.approx(0.5**0.5, abs=0.01)


def test_an_empty_volume_correlates_with_nothing():
    volume = torch.randn(8, 8, 8, generator=torch.Generator().manual_seed(4))
    assert torch.equal(
        fourier_shell_correlation(torch.zeros(8, 8, 8), volume), torch.zeros(5, dtype=torch.float64)
    )


def test_resolution_interpolates_between_shells():
    fsc = torch.tensor([[1.0, 0.9, 0.7, 0.3, 0.6], [1.0, 1.0, 1.0, 1.0, 0.5], [0.0, 0.0, 0.9, 0.9, 0.9]])
    resolution, never = resolution_at(fsc, box_size=8, pixel_size_in_angstroms=2.0)
    # Crossings at shells 2.5, none, and half-way from the mean to shell 1.
    assert resolution.tolist() == pytest.approx([16 / 2.5, 4.0, 16 / 0.5])
    assert never.tolist() == [False, True, False]


def test_largest_k_ignores_the_shells_between():
    assert largest_k_above(torch.tensor([[1.0, 0.9, 0.3, 0.6], [1.0, 0.4, 0.3, 0.5]])).tolist() == [3, 1]
