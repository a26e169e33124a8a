import torch
from cases import normal
from torch.distributions import Independent, Normal, kl_divergence

from temporem.model.gaussian import DiagonalGaussian


def test_divergence_is_that_of_torch() -> None:
    one = DiagonalGaussian(normal(4, 5, 3), normal(4, 5, 3, seed=1))
    other = DiagonalGaussian(normal(4, 5, 3, seed=2), normal(4, 5, 3, seed=3))
    first, second = (Independent(Normal(g.mean, (0.5 * g.log_variance).exp()), 1) for g in (one, other))
    torch.testing.assert_close(one.kl_from(other), kl_divergence(first, second))
    assert torch.equal(one.kl_from(one), torch.zeros(4, 5))


def test_samples_have_its_mean_and_variance() -> None:
    gaussian = DiagonalGaussian(torch.tensor([1.0, -2.0]), torch.tensor([0.0, 2.0]).log1p())
    samples = gaussian.sample(torch.zeros(2))
    assert torch.equal(samples, gaussian.mean)
    shape = (20_000, 2)
    many = DiagonalGaussian(gaussian.mean.expand(shape), gaussian.log_variance.expand(shape))
    samples = many.sample(normal(*shape))
    torch.testing.assert_close(samples.mean(0), gaussian.mean, atol=0.04, rtol=0)
    torch.testing.assert_close(samples.var(0), gaussian.log_variance.exp(), atol=0, rtol=0.04)
