"""One state's volume under a mask that holds all states'."""

import pytest
import torch
from moving_molecule import BOX, Sample, error, sample

from temporem.reconstruction import local_filter
from temporem.reconstruction.backprojection import Accumulator, accumulate, signal_power, wiener
from temporem.reconstruction.local_filter import local_wiener
from temporem.reconstruction.masking import solvent_mask

FRAMES, STATES = 600, 6


def sums(data: Sample, chosen: torch.Tensor) -> Accumulator:
    return accumulate(data.coefficients, data.ctf, *data.pose(), chosen.float())


def prior_and_mask(data: Sample) -> tuple[torch.Tensor, torch.Tensor]:
    odd = torch.arange(FRAMES) // STATES % 2 == 1
    a, b = sums(data, odd), sums(data, ~odd)
    power = signal_power([(a, b)], BOX // 2 + 1)
    return power, solvent_mask(wiener(a + b, power), 4.0)


@pytest.fixture(scope="module")
def noisy() -> Sample:
    return sample(frames=FRAMES, snr=0.1, states=STATES)


@pytest.mark.parametrize("state", [0, 3, 5])
def test_a_state_comes_out_nearer_to_the_truth_than_the_mask_alone_makes_it(
    noisy: Sample, state: int
) -> None:
    power, mask = prior_and_mask(noisy)
    of_state, truth = sums(noisy, noisy.state == state), noisy.volumes[state]
    before, after = (error(f(of_state, power, mask), truth) for f in (wiener, local_wiener))
    assert after < 0.9 * before


def test_where_the_state_has_nothing_noise_goes(noisy: Sample) -> None:
    power, mask = prior_and_mask(noisy)
    truth = noisy.volumes[0]
    around = torch.nn.functional.max_pool3d(truth[None], 7, stride=1, padding=3)[0]
    empty = (mask > 0.9) & (around < 0.01 * truth.max())
    before, after = (f(sums(noisy, noisy.state == 0), power, mask)[empty] for f in (wiener, local_wiener))
    assert empty.sum() > 100
    assert after.square().mean() < 0.3 * before.square().mean()


def test_without_noise_it_changes_next_to_nothing() -> None:
    clean = sample(frames=700, snr=1e4, states=1)
    everything = sums(clean, torch.ones(700))
    power = torch.full((BOX // 2 + 1,), 1e6)
    mask = solvent_mask(clean.volumes[0], 4.0)
    assert error(local_wiener(everything, power, mask), clean.volumes[0]) < 0.003


def test_the_unit_of_the_images_does_not_matter(noisy: Sample) -> None:
    power, mask = prior_and_mask(noisy)
    one = sums(noisy, noisy.state == 2)
    # Images tenfold brighter, their noise left in its old unit: numerators grow as well, and the prior.
    other = Accumulator(10 * one.numerator, one.denominator, one.box_size, one.padding)
    prior = 0.01 * one.denominator.new_ones(len(power)) * float(power.mean())
    found = local_wiener(one, prior, mask)
    torch.testing.assert_close(local_wiener(other, prior, mask), 10 * found, rtol=1e-3, atol=1e-3)


def test_a_mask_that_leaves_no_solvent_is_all_there_is(noisy: Sample) -> None:
    power, _ = prior_and_mask(noisy)
    full, of_state = torch.ones(BOX, BOX, BOX), sums(noisy, noisy.state == 0)
    torch.testing.assert_close(local_wiener(of_state, power, full), wiener(of_state, power, full))


def test_bands_add_up_to_the_volume() -> None:
    volume = torch.randn(16, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(local_filter._in_bands(volume).sum(0), volume, rtol=1e-4, atol=1e-5)
