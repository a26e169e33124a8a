"""How much less a frame tells of its state than it would if noise were all that the volumes leave of it.

The likelihood knows of noise alone. What the volumes get wrong shifts a frame's state too, by as much as it
looks like a change of state in that projection, and intervals come out too narrow. As in quasi-likelihood
(Wedderburn 1974, Biometrika 61, 439) one factor for all frames makes up for it: the variance of the score,
the likelihood's slope at the state found, over what noise alone would give it.

The score of a whole frame is zero by the choice of its state, but parts of a frame tell of it apart, and how
far they disagree can be asked. A frame's coefficients are split in two by direction and in two by how fine
they are, half of what is told lying on each side; the two ways also make a third, of opposite quarters.
What volumes get wrong ties neighbours together, so that each way sees less than there is: nothing of what
its sides share. If quarters that share neither direction nor fineness are taken to err apart, the first two
ways less the third give the variance of the whole.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from temporem.fitting.deformation_states import expanded
from temporem.fitting.frames import FrameStore
from temporem.fitting.stability import require_finite
from temporem.model.generators import Generator
from temporem.model.subspace import LinearSubspace

__all__ = ["Disagreement", "deviations", "disagreement", "of_generator", "of_subspace", "tempered"]

_FRAMES = 512
"""Looked at, drawn at random: they tell the factor to a tenth."""
_ROWS_AT_ONCE = 32
_SEED = 0
"""Of the frames looked at."""
_RIDGE = 1e-6
"""Relative to the mean information, for what no coefficient tells of."""

Disagreement = tuple[Float[Tensor, " ways"], Float[Tensor, " ways"]]
"""Of the scores of the two sides of a split, summed over frames: squared and scaled by the information of the
frame, as found, and as noise alone would give it; by direction, by fineness, and of opposite quarters."""


def disagreement(
    slopes: Complex[Tensor, "frames latent coefficients"],
    residual: Complex[Tensor, "frames coefficients"],
    frequency: Float[Tensor, "coefficients 2"],
) -> Disagreement:
    """What frames' parts say of their states, all scaled as in `deformation_states.Expansion`.

    With H = H₁ + H₂ the information and g = g₁ + g₂ the score of a frame's two sides, g₁ − H₁ H⁻¹ g has the
    covariance H₁ − H₁ H⁻¹ H₁ under noise alone, wherever the prior has pulled the state.

    Raises UserError for numbers that are not finite.
    """
    _require_finite(slopes, residual)
    slope = torch.view_as_real(slopes).double()
    information = torch.einsum("fikx,fjkx->fij", slope, slope)
    scale = information.diagonal(dim1=-2, dim2=-1).mean(-1)
    ridge = (_RIDGE * scale).clamp(min=torch.finfo(scale.dtype).tiny)
    eye = torch.eye(slope.shape[1], dtype=slope.dtype, device=slope.device)
    factor = torch.linalg.cholesky(information + ridge[:, None, None] * eye)
    # In units in which the information of a whole frame is 1.
    slope = torch.linalg.solve_triangular(factor, slope.flatten(2), upper=False).reshape(slope.shape)
    score = (slope * torch.view_as_real(residual).double()[:, None]).sum(-1)
    told = slope.square().sum((1, 3))
    coarse = told.cumsum(-1) <= told.sum(-1, keepdim=True) / 2
    across = (frequency[:, 0].abs() >= frequency[:, 1].abs()).expand_as(coarse)
    found, expected = [], []
    for side in (across, coarse, across == coarse):
        own = torch.einsum("fikx,fk,fjkx->fij", slope, side.double(), slope)
        apart = (score * side[:, None]).sum(-1) - (own @ score.sum(-1)[..., None])[..., 0]
        found.append(apart.square().sum())
        expected.append((own - own @ own).diagonal(dim1=-2, dim2=-1).sum())
    return torch.stack(found), torch.stack(expected)


@torch.no_grad()
def of_generator(generator: Generator, store: FrameStore, z: Float[Tensor, "frames latent"]) -> float:
    """The factor for states z of all frames under a generator; 1 where noise explains all."""

    def of_some() -> Iterable[Disagreement]:
        for rows in torch.split(_some_rows(len(store)), _ROWS_AT_ONCE):
            around = expanded(generator, store, z, rows, store.lattice.radius)
            frequency = store.lattice.frequency[: around.residual.shape[-1]]
            yield disagreement(torch.stack(around.slopes, 1), around.residual, frequency)

    return _factor(of_some())


@torch.no_grad()
def of_subspace(subspace: LinearSubspace, store: FrameStore, z: Float[Tensor, "frames latent"]) -> float:
    """The factor for states z of all frames in a linear subspace; 1 where noise explains all."""
    count = subspace.coefficients_used(store.lattice)

    def of_some() -> Iterable[Disagreement]:
        for rows in torch.split(_some_rows(len(store)), _ROWS_AT_ONCE):
            frames = store.frames(rows, count)
            told = (frames.coefficients, frames.transfer, frames.rotation)
            slopes, residual = subspace.expansion(*told, store.lattice)
            here = (slopes @ z[rows].to(slopes)[..., None])[..., 0]
            yield disagreement(slopes.mT, residual - here, store.lattice.frequency[:count])

    return _factor(of_some())


def tempered(
    covariance: Float[Tensor, "frames latent latent"], factor: float
) -> Float[Tensor, "frames latent latent"]:
    """Covariance of the states where what is told of them is less by `factor`; the prior, N(0, I), stays.

    A frame's neighbours in its movie are taken to tell as much less of it, which is a little too wide: the
    smoother would lean on them more.
    """
    variance, vectors = torch.linalg.eigh(covariance.double())
    variance = variance.clamp(min=0)
    # 1 / ((1 / v − 1) / f + 1), also where nothing is left open.
    wider = factor * variance / (1 + (factor - 1) * variance)
    found: Tensor = (vectors * wider[:, None] @ vectors.mT).to(covariance)
    return found


def deviations(covariance: Float[Tensor, "frames latent latent"]) -> Float[Tensor, "frames latent"]:
    """Marginal standard deviations."""
    return covariance.diagonal(dim1=-2, dim2=-1).sqrt()


def _some_rows(count: int) -> Tensor:
    # At random: evenly spaced ones may be of some frame indices only.
    return torch.randperm(count, generator=torch.Generator().manual_seed(_SEED))[:_FRAMES].sort().values


def _require_finite(slopes: Tensor, residual: Tensor) -> None:
    lost = "numbers in the volumes' slopes along the states"
    for part in (slopes, residual):
        require_finite(float(part.abs().sum()), lost, "check the poses, the CTF and the pixel size")


def _factor(parts: Iterable[Disagreement]) -> float:
    found, expected = (torch.stack(of).sum(0) for of in zip(*parts, strict=True))
    ratio = found / expected.clamp(min=torch.finfo(found.dtype).tiny)
    return max(1.0, float(ratio[0] + ratio[1] - ratio[2]))
