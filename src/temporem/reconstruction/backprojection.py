"""Weighted back-projection: the regularised least-squares volume of frames with known poses.

With whitened noise, the volume V̂ that minimises Σ_i w_i |X_i − CTF_i · slice_i(V̂)|² / σ² + |V̂|² / τ² is,
at each voxel of a padded Fourier grid, numerator / (denominator + 1 / τ²). Both sums are linear in the
frames and their weights: accumulate groups of frames once, and combine them with as many weights as there
are volumes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from temporem.errors import UserError
from temporem.physics.lattice import HalfDisc
from temporem.physics.projection import add_mates, add_slices
from temporem.physics.shifts import phase_shift
from temporem.physics.volumes import PADDING, fourier_to_volume, grid_radius, gridding_correction

__all__ = ["Accumulator", "accumulate", "grid_shells", "regularised", "signal_power", "wiener"]

POINTS_AT_ONCE = 2**20
"""Coefficients of all frames that are weighted at a time."""
STANDARD_ERRORS = 3.0
NOISE_CORRELATION = 1.125**3
"""Grid points that share noise by trilinear insertion: Σ of its squared autocorrelation."""


@dataclass(frozen=True, eq=False)
class Accumulator:
    """Sums over frames on the padded half grid of `physics.volumes`, m = padding · box_size."""

    numerator: Complex[Tensor, "m m m//2+1"]
    """Σ w · CTF · X / σ², with X shifted to the centre."""
    denominator: Float[Tensor, "m m m//2+1"]
    """Σ w · CTF² / σ², the information at each voxel."""
    box_size: int
    padding: int

    def __add__(self, other: "Accumulator") -> "Accumulator":
        return Accumulator(
            self.numerator + other.numerator,
            self.denominator + other.denominator,
            self.box_size,
            self.padding,
        )

    def to(self, device: torch.device) -> "Accumulator":
        """Return the same sums on `device`."""
        return Accumulator(
            self.numerator.to(device), self.denominator.to(device), self.box_size, self.padding
        )

    def cropped(self, box_size: int) -> "Accumulator":
        """The sums of the low frequencies: those of images Fourier-cropped to a smaller even box."""
        if box_size == self.box_size:
            return self
        half = self.padding * box_size // 2
        kept = torch.cat((torch.arange(half), torch.arange(-half, 0))).to(self.denominator.device)
        numerator, denominator = (
            x[..., : half + 1][kept][:, kept] for x in (self.numerator, self.denominator)
        )
        return Accumulator(numerator, denominator, box_size, self.padding)


def accumulate(
    coefficients: Complex[Tensor, "frames coefficients"],
    ctf: Float[Tensor, "frames coefficients"] | None,
    rotation: Float[Tensor, "frames 3 3"],
    translation_in_pixels: Float[Tensor, "frames 2"],
    noise_variance: Float[Tensor, " shells"],
    half_disc: HalfDisc,
    frame_weight: Float[Tensor, " frames"] | None = None,
    padding: int = PADDING,
) -> Accumulator:
    """Sum frames into the grid; those of weight 0 cost nothing.

    `coefficients` are a frame's on the half-disc, `noise_variance` is E|N|² in each of its shells 0 …
    radius, and a point p of the molecule lands at A·p + t, with `rotation` A and `translation_in_pixels` t.
    """
    rows = (
        torch.arange(len(coefficients)) if frame_weight is None else frame_weight.nonzero().squeeze(-1).cpu()
    )
    precision = 1 / noise_variance[half_disc.shell]
    box = half_disc.box_size
    shape = (padding * box, padding * box, padding * box // 2 + 1)
    numerator, denominator = coefficients.new_zeros(shape), precision.new_zeros(shape)
    for chunk in torch.split(rows, max(1, POINTS_AT_ONCE // len(half_disc))):
        values = (
            coefficients[chunk]
            * phase_shift(half_disc.frequency, -translation_in_pixels[chunk], box)
            * precision
        )
        weights = precision.expand(len(chunk), -1)
        if ctf is not None:
            values = values * ctf[chunk]
            weights = weights * ctf[chunk] ** 2
        if frame_weight is not None:
            values = values * frame_weight[chunk, None]
            weights = weights * frame_weight[chunk, None]
        add_slices(numerator, denominator, values, weights, rotation[chunk], half_disc.frequency, padding)
    add_mates(numerator)
    add_mates(denominator)
    return Accumulator(numerator, denominator, box, padding)


def wiener(
    accumulator: Accumulator,
    signal_power: Float[Tensor, " shells"],
    mask: Float[Tensor, "n n n"] | None = None,
) -> Float[Tensor, "n n n"]:
    """Volume (n, n, n) from the sums, with the prior E|V̂|² = τ² = `signal_power` in each shell 0 … radius.

    The padded grid holds padding³ points for each independent coefficient, so each gets that fraction of the
    prior's precision. A mask confines the volume: the same power in a smaller support means fewer
    independent coefficients, and less of the prior still, by the mask's mean; the volume is returned masked.
    Beyond the last shell the volume's transform is zero.
    """
    volume = regularised(accumulator, signal_power, 1.0 if mask is None else float(mask.mean()))
    return volume if mask is None else volume * mask


def regularised(
    accumulator: Accumulator, signal_power: Float[Tensor, " shells"], support: float
) -> Float[Tensor, "n n n"]:
    """The volume of `wiener` for a mask of that mean, before the mask is laid on it."""
    n, padding = accumulator.box_size, accumulator.padding
    power = signal_power.to(accumulator.denominator)
    shell = grid_shells(n, padding).to(power.device)
    prior = support / (padding**3 * power)
    beyond = power.new_full((max(0, int(shell.max()) + 1 - len(power)),), torch.inf)
    floor = torch.cat((prior, beyond)).index_select(0, shell.flatten()).reshape(shell.shape)
    transform = accumulator.numerator * (1 / (accumulator.denominator + floor))
    return fourier_to_volume(transform, padding) / gridding_correction(n, padding).to(power)


def signal_power(halves: Iterable[tuple[Accumulator, Accumulator]], shells: int) -> Float[Tensor, " shells"]:
    """Power E|V̂|² of the volume in each shell 0 … shells − 1, from pairs of accumulators of disjoint frames.

    Noise of disjoint frames is independent, so Σ Re(N_a N_b*) / Σ D_a D_b has no noise bias. Pairs taken
    along a motion, each of frames that show nearly one state, give the power of a state rather than that of
    their blurred mean. From the first shell where the halves' correlation is within three standard errors of
    zero, the pairs taken to be independent of one another, the power is extrapolated: a straight line of
    log power against k² (a Guinier plot) through the upper half of the shells before it, which never rises.

    Raises UserError where the halves have nothing in common even in the lowest shells.
    """
    common, information, power_a, power_b, points = _shell_sums(halves, shells)
    tiny = torch.finfo(torch.float64).tiny
    correlation = common / (power_a * power_b).sqrt().clamp(min=tiny)
    standard_error = (NOISE_CORRELATION / (2 * points)).sqrt()
    unreliable = (correlation < (STANDARD_ERRORS * standard_error).clamp(max=0.5)).nonzero()
    reliable = int(unreliable[0]) if len(unreliable) else shells
    if reliable < 2:
        raise UserError(
            "half-sets of the images give volumes with nothing in common: there is no particle, or the poses"
            " or CTFs are wrong; check all three."
        )
    return extrapolated(common / information.clamp(min=tiny), reliable).float()


def _shell_sums(
    halves: Iterable[tuple[Accumulator, Accumulator]], shells: int
) -> Float[Tensor, "5 {shells}"]:
    """Of all pairs: Re(N_a N_b*), D_a D_b, |N_a|², |N_b|², and the number of points."""
    sums: Tensor | None = None
    pairs, box_size, padding = 0, 0, 0
    for a, b in halves:
        if sums is None:
            box_size, padding = a.box_size, a.padding
            sums = a.denominator.new_zeros(4, *a.denominator.shape)
        one, other = a.numerator, b.numerator
        for total, x, y in ((sums[0], one, other), (sums[1], one, one), (sums[2], other, other)):
            total.addcmul_(x.real, y.real).addcmul_(x.imag, y.imag)
        sums[3].addcmul_(a.denominator, b.denominator)
        pairs += 1
    if sums is None:
        return torch.zeros(5, shells, dtype=torch.float64)
    # What lies beyond the shells asked for is counted in one more, and left out.
    shell = grid_shells(box_size, padding).to(sums.device).clamp(max=shells).flatten()
    common, power_a, power_b, information = sums
    maps = (common, information, power_a, power_b, torch.full_like(common, pairs))
    of_shells = [torch.bincount(shell, x.flatten().double(), shells + 1) for x in maps]
    return torch.stack(of_shells)[:, :shells].cpu()


def extrapolated(power: Float[Tensor, " shells"], reliable: int) -> Float[Tensor, " shells"]:
    """The first `reliable` shells as they are, and their upper half continued as a Guinier line."""
    square = torch.arange(len(power), dtype=power.dtype) ** 2
    upper = slice(reliable // 2, reliable)
    x, y = square[upper], power[upper].log()
    spread = x - x.mean()
    slope = ((spread * y).sum() / (spread**2).sum().clamp(min=1)).clamp(max=0)
    return torch.where(square < reliable**2, power, (y.mean() + slope * (square - x.mean())).exp())


@lru_cache(maxsize=4)
def grid_shells(box_size: int, padding: int) -> Int[Tensor, "m m m//2+1"]:
    """Shell of each point of the half grid: |k| in cycles per box, rounded (int32; not to be changed)."""
    return grid_radius(box_size, padding).round().int()
