"""Passes over all frames at one resolution: field and density climb the likelihood, the states held."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.fitting.canonical_density import CanonicalDensity
from temporem.fitting.deformation_options import DeformationOptions
from temporem.fitting.deformation_prior import folding, neighbours, strain
from temporem.fitting.frames import FrameStore
from temporem.fitting.stability import require_finite
from temporem.model.batches import MovieBatch
from temporem.model.deformable_generator import DeformableGenerator

__all__ = ["TERMS", "Climb"]

TERMS = (
    "negative_log_likelihood",
    "rigidity_prior",
    "folding_prior",
    "conservation_prior",
    "density_prior",
)
"""Of the objective, in nats per frame; the first of the coefficients up to the resolution of the pass."""
_MOMENTUM = 0.9
_STATES_IN_PRIOR = 4
"""Of a batch, on which strain, folding and change of occupancy are judged."""
_REMEDY = "try another --seed, or --method linear"


class Climb:
    """Passes at one resolution, the states held."""

    def __init__(
        self,
        store: FrameStore,
        generator: DeformableGenerator,
        z: Float[Tensor, "frames latent"],
        density: CanonicalDensity,
        volume: Float[Tensor, "n n n"],
        options: DeformationOptions,
        random: torch.Generator,
        count: int,
    ) -> None:
        self.store, self.density, self.options, self.random = store, density, options, random
        self.generator, self.z, self.count = generator, z, count
        self.generator.place(density.points, density.width_in_pixels)
        self.pairs = neighbours(density.points, density.spacing_in_pixels)
        self.unknowns = density.start(volume).requires_grad_()
        self.generator.occupancy_field.requires_grad_(options.mass_changes)
        self.fields = [x for x in self.generator.parameters() if x.requires_grad]
        self.of_fields = torch.optim.Adam(self.fields, betas=(0.9, 0.99))
        self.of_density = torch.optim.SGD([self.unknowns], lr=0.0, momentum=_MOMENTUM)

    def run(self, share: float) -> dict[str, float]:
        """One pass, with that share of the rates; the terms of the objective, in nats per frame."""
        self.of_fields.param_groups[0]["lr"] = self.options.field_rate * share
        self.of_density.param_groups[0]["lr"] = self.options.density_rate * (1 - _MOMENTUM) * share
        totals = dict.fromkeys(TERMS, 0.0)
        for batch in self.store.epoch(self.options.frames_per_batch, self.random, self.count):
            for name, value in zip(TERMS, self._step(batch), strict=True):
                totals[name] += value * len(batch.rows)
        self.generator.amplitude = self.density.amplitude(self.unknowns.detach())
        return {name: total / len(self.store) for name, total in totals.items()}

    def _step(self, batch: MovieBatch) -> tuple[float, ...]:
        """One update; the value of each of TERMS before it."""
        processes = self.store.processes
        self.generator.amplitude = self.density.amplitude(self.unknowns)
        z = self.z[batch.rows.to(self.z.device)]
        data = self._misfit(processes.share(batch.rows))
        chosen = torch.randperm(len(z), generator=self.random)[:_STATES_IN_PRIOR].to(z.device)
        strained = self.options.rigidity * strain(self.generator, z[chosen], self.pairs, self.random)
        folded = self.options.folding * folding(self.generator, z[chosen], self.random)
        changed = self.options.conservation * self.generator.occupancy_changes(z[chosen]).square().mean()
        prior = self.density.prior_energy(self.unknowns)
        # Each process computes the whole of the priors, and counts its part of them.
        priors = (strained + folded + changed) * len(self.store) + prior
        loss = data / len(z) * len(self.store) + priors / processes.count
        self.of_fields.zero_grad()
        self.of_density.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        processes.sum_gradients([*self.fields, self.unknowns])
        total, seen = processes.summed(torch.stack((loss, data)).detach())
        require_finite(float(total), "the likelihood of the deformation", _REMEDY)
        self.of_fields.step()
        self.of_density.step()
        terms = (seen / len(z), strained, folded, changed, prior / len(self.store))
        return tuple(float(term.detach()) for term in terms)

    def _misfit(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, ""]:
        """Negative log likelihood of frames."""
        if not len(rows):
            return self.unknowns.new_zeros(())
        lattice, count = self.store.lattice, self.count
        frames = self.store.frames(rows, count)
        z = self.z[rows.to(self.z.device)]
        slices = self.generator.slices(z, frames.rotation, lattice.frequency[:count])
        residual = frames.coefficients - frames.transfer * slices
        return 0.5 * (residual.abs().square() * lattice.multiplicity[:count]).sum()
