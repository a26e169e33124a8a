"""Frames foretold by any generator and any encoder, scored against the noise model."""

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.held_out.score import HeldOutScore, over_movies
from temporem.model.batches import FrameBatch, MovieBatch
from temporem.model.generators import Generator
from temporem.model.methods import DynamicalModel
from temporem.physics.lattice import HalfDisc
from temporem.physics.projection import central_slices
from temporem.physics.volumes import PADDING, slicing_grid

__all__ = [
    "foretell_coefficients",
    "foretell_frames",
    "gain_at",
    "only_known",
    "score_volumes",
    "still_slices",
]

FRAMES_AT_ONCE = 200
POINTS_AT_ONCE = 2**18
"""Coefficients of all frames that slices are made of at a time."""
TURNS = 3
"""Frames of a movie are left out in so many turns: one in three, its neighbours known."""


def still_slices(
    volume: Float[Tensor, "n n n"],
    rotation: Float[Tensor, "frames 3 3"],
    frequency: Float[Tensor, "coefficients 2"],
) -> Complex[Tensor, "frames coefficients"]:
    """Central slices of one volume for all frames: what every score is compared with."""
    return central_slices(slicing_grid(volume), rotation, frequency, PADDING)


@torch.no_grad()
def gain_at(
    generator: Generator,
    frames: FrameBatch,
    z: Float[Tensor, "frames latent"],
    still: Float[Tensor, "n n n"],
    lattice: HalfDisc,
    scored: Bool[Tensor, "frames coefficients"] | None = None,
) -> Float[Tensor, " frames"]:
    """Log likelihood of frames whose states are given, above that of the volume `still`; in nats.

    Coefficients are whitened: ½ |X − transfer · slice|² with the multiplicity of the half-disc, over the
    `scored` ones or all.
    """
    gains = []
    at_once = max(1, POINTS_AT_ONCE // len(lattice))
    for rows in torch.split(torch.arange(len(z), device=z.device), at_once):
        rotation, transfer, seen = frames.rotation[rows], frames.transfer[rows], frames.coefficients[rows]
        slices = generator.slices(z[rows], rotation, lattice.frequency)
        standing = still_slices(still, rotation, lattice.frequency)
        better = (seen - transfer * standing).abs().square() - (seen - transfer * slices).abs().square()
        if scored is not None:
            better = better * scored[rows]
        gains.append(0.5 * (better * lattice.multiplicity).sum(-1))
    return torch.cat(gains)


@torch.no_grad()
def score_volumes(
    generator: Generator,
    z: Float[Tensor, "frames latent"],
    still: Float[Tensor, "n n n"],
    store: FrameStore,
) -> HeldOutScore:
    """Score all frames of a store at states z, in order of its rows, above the volume `still`.

    Held out are these frames only if neither the volumes nor their states come from them.
    """
    scores = torch.zeros(len(store))
    movie = torch.zeros(len(store), dtype=torch.long)
    for index, of_movie in enumerate(store.movie_rows):
        movie[torch.from_numpy(of_movie)] = index
    for rows in torch.split(torch.arange(len(store)), FRAMES_AT_ONCE):
        at = z[rows].to(store.device)
        scores[rows] = gain_at(generator, store.frames(rows), at, still, store.lattice).cpu()
    return over_movies(scores, movie)


def only_known(frames: FrameBatch, known: Bool[Tensor, "frames #coefficients"]) -> FrameBatch:
    """Frames that tell nothing but the known coefficients: the others are zero, and so is their transfer."""
    return FrameBatch(frames.coefficients * known, frames.transfer * known, frames.rotation)


@torch.no_grad()
def foretell_coefficients(
    model: DynamicalModel,
    store: FrameStore,
    batch: MovieBatch,
    still: Float[Tensor, "n n n"],
    generator: torch.Generator,
) -> Float[Tensor, " frames"]:
    """Gain of a random half of each frame's coefficients, the states inferred from the other halves.

    Any encoder can do that, so methods without time are compared by it.
    """
    frames = store.frames(batch.rows)
    known = torch.rand(frames.transfer.shape, generator=generator).to(store.device) < 0.5
    z = _states(model, only_known(frames, known), batch, store.lattice)
    return gain_at(model.generator, frames, z, still, store.lattice, ~known)


@torch.no_grad()
def foretell_frames(
    model: DynamicalModel, store: FrameStore, batch: MovieBatch, still: Float[Tensor, "n n n"]
) -> Float[Tensor, " frames"]:
    """Gain of each frame, its state inferred from other frames of its movie."""
    frames = store.frames(batch.rows)
    index = batch.mask.cumsum(1)[batch.mask]
    z = index.new_zeros((len(index), model.generator.latent_dim), dtype=frames.transfer.dtype)
    for turn in range(TURNS):
        left_out = index % TURNS == turn
        told = _states(model, only_known(frames, ~left_out[:, None]), batch, store.lattice)
        z[left_out] = told[left_out]
    return gain_at(model.generator, frames, z, still, store.lattice)


def _states(
    model: DynamicalModel, frames: FrameBatch, batch: MovieBatch, lattice: HalfDisc
) -> Float[Tensor, "frames latent"]:
    zero = torch.zeros((*batch.mask.shape, model.generator.latent_dim), device=batch.mask.device)
    return model.infer(frames, batch, lattice, zero).z[batch.mask]
