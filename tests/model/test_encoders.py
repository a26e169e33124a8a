import pytest
import torch
from cases import LATENT, normal, ragged

from temporem.model.encoders import Combiner, Encoder, FrameEncoder, TemporalEncoder
from temporem.model.features import unpacked
from temporem.model.smoothing import smooth

LENGTHS, PLAIN, WIDTH = (5, 2, 7), 6, 16


def movies(linear: bool, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features, intervals, mask and noise of movies of different lengths."""
    interval, mask = ragged(LENGTHS, seed)
    noise = normal(*mask.shape, LATENT, seed=seed + 1)
    if not linear:
        return normal(*mask.shape, PLAIN, seed=seed), interval, mask, noise
    maps = normal(*mask.shape, 3, LATENT, seed=seed)
    matrix, vector = maps.mT @ maps, normal(*mask.shape, LATENT, seed=seed + 2)
    covariance = torch.linalg.inv(matrix + torch.eye(LATENT))
    mean = (covariance @ vector[..., None])[..., 0]
    estimate = (mean, covariance.diagonal(dim1=-2, dim2=-1).log())
    features = torch.cat((*estimate, vector, matrix.flatten(-2)), dim=-1)
    return features * mask[..., None], interval, mask, noise


def encoder(kind: type[Encoder], linear: bool, trained: bool) -> Encoder:
    """With small random weights where the start has zeros, if trained."""
    torch.manual_seed(0)
    width = movies(linear)[0].shape[-1]
    made = kind(width, LATENT, WIDTH, linear)
    if trained:
        with torch.no_grad():
            for parameter in made.parameters():
                parameter += 0.2 * torch.randn(parameter.shape)
    return made.requires_grad_(False)


KINDS = pytest.mark.parametrize("kind", [FrameEncoder, TemporalEncoder])
LINEAR = pytest.mark.parametrize("linear", [False, True], ids=["image features", "subspace features"])


@KINDS
@LINEAR
def test_paths_are_drawn_from_the_conditionals(kind: type[Encoder], linear: bool) -> None:
    features, interval, mask, noise = movies(linear)
    path = encoder(kind, linear, True)(features, interval, mask, noise)
    deviation = (0.5 * path.conditional.log_variance).exp()
    torch.testing.assert_close(path.z, path.conditional.mean + deviation * noise)
    quiet = encoder(kind, linear, True)(features, interval, mask, torch.zeros_like(noise))
    assert torch.equal(quiet.z, quiet.conditional.mean)


@KINDS
@LINEAR
def test_padding_does_not_reach_real_frames(kind: type[Encoder], linear: bool) -> None:
    network = encoder(kind, linear, True)
    features, interval, mask, noise = movies(linear)
    path = network(features, interval, mask, noise)
    pad = (0, 0, 0, 3)
    more, longer = (torch.nn.functional.pad(x, pad, value=2.5) for x in (features, noise))
    waits = torch.nn.functional.pad(interval, (0, 3), value=torch.inf)
    wide = torch.nn.functional.pad(mask, (0, 3))
    more[~wide], longer[~wide] = 3.0, -4.0
    waits[~wide] = 0.7
    again = network(more, waits, wide, longer)
    torch.testing.assert_close(again.z[wide], path.z[mask], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        again.conditional.log_variance[wide], path.conditional.log_variance[mask], atol=1e-5, rtol=1e-4
    )


@KINDS
@LINEAR
def test_movies_in_another_order_give_the_same_paths(kind: type[Encoder], linear: bool) -> None:
    network, data = encoder(kind, linear, True), movies(linear)
    order, mask = torch.tensor([2, 0, 1]), data[2]
    path, again = network(*data), network(*(x[order] for x in data))
    torch.testing.assert_close(again.z[mask[order]], path.z[order][mask[order]], atol=1e-5, rtol=1e-5)


@LINEAR
def test_frames_alone_depend_on_no_other_and_on_no_time(linear: bool) -> None:
    network = encoder(FrameEncoder, linear, True)
    features, interval, mask, noise = movies(linear)
    path = network(features, interval, mask, noise)
    changed = features.clone()
    changed[:, 1] += 1 if not linear else 0.3
    again = network(changed, interval.flip(1), mask, noise)
    others = torch.arange(mask.shape[1]) != 1
    assert torch.equal(again.z[:, others], path.z[:, others])
    assert not torch.allclose(again.z[:, 1], path.z[:, 1])


@LINEAR
def test_time_carries_what_frames_say_both_ways(linear: bool) -> None:
    network = encoder(TemporalEncoder, linear, True)
    features, interval, mask, noise = movies(linear)
    path = network(features, interval, mask, noise)
    for changed, seen in ((0, 4), (4, 0)):
        other = features.clone()
        other[0, changed] = other[2, 3]
        again = network(other, interval, mask, noise)
        assert (again.z[0, seen] - path.z[0, seen]).abs().max() > 1e-6
        assert torch.equal(again.z[1], path.z[1])
    waits = interval.clone()
    waits[0, 2] *= 3
    assert not torch.equal(network(features, waits, mask, noise).z[0], path.z[0])


def test_the_state_before_changes_the_conditional() -> None:
    network = encoder(TemporalEncoder, False, True)
    features, interval, mask, noise = movies(False)
    path = network(features, interval, mask, noise)
    noise[:, 0] += 1
    again = network(features, interval, mask, noise)
    assert torch.equal(again.conditional.mean[:, 0], path.conditional.mean[:, 0])
    assert not torch.allclose(again.conditional.mean[:, 1], path.conditional.mean[:, 1])


@pytest.mark.parametrize("times", [(1.0, 1.0), (0.6, 9.0)])
def test_temporal_encoder_starts_as_the_smoother(times: tuple[float, ...]) -> None:
    network, time = encoder(TemporalEncoder, True, False), torch.tensor(times)
    network.log_relaxation_time.copy_(time.log())
    features, interval, mask, noise = movies(True)
    path = network(features, interval, mask, noise)
    parts = unpacked(features, LATENT)
    states = smooth(parts.matrix, parts.vector, interval, time, mask)
    torch.testing.assert_close(path.conditional.mean[mask], states.mean[mask])
    variance = states.covariance.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(path.conditional.log_variance[mask].exp(), variance[mask])


def test_frame_encoder_starts_as_the_frames_own_posterior() -> None:
    features, interval, mask, noise = movies(True)
    path = encoder(FrameEncoder, True, False)(features, interval, mask, noise)
    both = torch.cat((path.conditional.mean, path.conditional.log_variance), -1)
    torch.testing.assert_close(both[mask], unpacked(features, LATENT).estimate[mask])


@KINDS
@LINEAR
def test_gradients_are_finite_and_reach_every_weight(kind: type[Encoder], linear: bool) -> None:
    network = encoder(kind, linear, True)
    trained = [p for name, p in network.named_parameters() if linear or name != "log_relaxation_time"]
    for parameter in trained:
        parameter.requires_grad_()
    features, interval, mask, noise = movies(linear)
    path = network(features, interval, mask, noise)
    (path.z[mask].square().sum() + path.conditional.log_variance[mask].sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in trained)


def test_combiner_is_the_structured_inference_network() -> None:
    torch.manual_seed(0)
    combiner = Combiner(PLAIN, LATENT, WIDTH)
    torch.nn.init.normal_(combiner.gaussian.weight, std=0.3)
    previous, states, features = normal(4, LATENT), normal(4, WIDTH, seed=1), normal(4, PLAIN, seed=2)
    found = combiner(previous, states, features)
    state = combiner.from_previous
    joined = (torch.tanh(previous @ state.weight.T + state.bias) + states) / 3
    expected = joined @ combiner.gaussian.weight.T + features @ combiner.direct.weight.T
    torch.testing.assert_close(torch.cat((found.mean, found.log_variance), -1), expected)


@LINEAR
def test_without_smoothing_nothing_is_known_of_later_frames(linear: bool) -> None:
    torch.manual_seed(0)
    features, interval, mask, noise = movies(linear)
    network = TemporalEncoder(features.shape[-1], LATENT, WIDTH, linear, smoothing=False)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.2 * torch.randn(parameter.shape)
        path = network(features, interval, mask, noise)
        other = features.clone()
        other[0, 3] = other[2, 3]
        again = network(other, interval, mask, noise)
    torch.testing.assert_close(again.z[0, :3], path.z[0, :3])
    assert (again.z[0, 4] - path.z[0, 4]).abs().max() > 1e-6
