"""A run's references: its images, preprocessing, mask, padding and regulariser, and the true poses."""

from collections.abc import Sequence

import torch
from torch import Tensor

from temporem.evaluation.posed_frames import posed_frames
from temporem.evaluation.references import Reference, consensus, path_sums, smoothed_reference
from temporem.evaluation.resampling import fourier_pad
from temporem.evaluation.scoring import Scorer
from temporem.movies.preprocessing import prepare_frames
from temporem.reconstruction.backprojection import Accumulator
from temporem.reconstruction.local_filter import local_wiener
from temporem.reconstruction.run import Run
from temporem.simulation.truth import Truth

__all__ = ["run_references"]


def run_references(run: Run, truth: Truth, scorer: Scorer, rows: Sequence[int]) -> dict[str, Reference]:
    """`consensus`, `clock` and `oracle`, with widths chosen on some of these rows."""
    movies, preprocessing = run.movies()
    frames = posed_frames(
        movies, prepare_frames(movies, preprocessing), truth.rotation, truth.translation_in_angstroms
    )
    state = truth.states["state"].to_numpy()
    power = frames.signal_power(state)
    mask = torch.as_tensor(run.mask())

    def finish(sums: Accumulator) -> Tensor:
        return fourier_pad(local_wiener(sums, power, mask), scorer.box_size)

    references: dict[str, Reference] = {}
    for name, coordinate in (("clock", truth.states["frame"].to_numpy()), ("oracle", state)):
        sums = path_sums(coordinate, frames.accumulate)
        if not references:
            references["consensus"] = consensus(sums, finish, scorer.masks)
        references[name] = smoothed_reference(sums, finish, truth, scorer, rows)
    return references
