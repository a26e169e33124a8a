"""Does the held-out score rank as the truth does? Latent dimensions, bandwidths and methods, on simulations.

    python benchmarks/held_out.py OUT SIMULATION [SIMULATION …] [--networks EPOCHS]

Each SIMULATION is a folder of `temporem simulate`. Everything is fitted to every second movie, and both the
held-out score and the truth look at frames of the others: their log likelihood in nats a frame above the
consensus, at states inferred without them, and the resolution of their volumes at states inferred with them.
OUT/held_out.md gets a table for each simulation, and Spearman's rank correlation of score and resolution
(−1 is perfect: more nats, fewer Å). Methods are compared on held-out coefficients; networks only if asked.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from temporem.evaluation.scoring import by_conformation, evaluate_volumes, scorer_of
from temporem.evaluation.summary import summarise
from temporem.files import write_text
from temporem.fitting import bandwidths as choosing_bandwidths
from temporem.fitting.consensus import Consensus, find_consensus
from temporem.fitting.frames import FrameStore
from temporem.fitting.held_out.frames import foretell_coefficients, gain_at, only_known, score_volumes
from temporem.fitting.held_out.score import HeldOutScore, over_movies
from temporem.fitting.held_out.subspace import CANDIDATES, Fold, fit_folds, score_subspaces
from temporem.fitting.linear import LinearStates, find_volumes
from temporem.fitting.options import FittingOptions
from temporem.fitting.subspace_fit import subspace_posterior
from temporem.fitting.trainer import Trainer
from temporem.fitting.warm_start import warm_start
from temporem.model.generators import Generator
from temporem.model.smoothing import smooth
from temporem.movies.preprocessing import PreprocessingOptions, prepare_frames
from temporem.movies.reading import ReadingOptions, read_movies
from temporem.simulation.truth import Truth

FRAMES = 48
DIMENSIONS = (1, 2, 4, 8)
BANDWIDTHS = (0.12, 0.18, 0.27, 0.4, 0.6, 1.0)


@dataclass(frozen=True)
class Row:
    kind: str
    choice: str
    score: HeldOutScore
    whole: float
    moving: float


class Judge:
    """The truth of a fold's scored frames."""

    def __init__(self, simulation: Path, rows: torch.Tensor, consensus: Consensus) -> None:
        self.truth, self.mask = Truth.load(simulation / "truth"), consensus.mask
        self.scorer = scorer_of(self.truth)
        chosen = np.linspace(0, len(rows) - 1, min(FRAMES, len(rows))).round().astype(int)
        local = {int(rows[index]): int(index) for index in chosen}
        self.images = by_conformation(list(local), self.truth)
        self.local = [local[image] for image in self.images]

    def resolution(self, generator: Generator, z: torch.Tensor) -> tuple[float, float]:
        """Whole and moving, in Å, of the volumes at the states of the fold's scored frames."""
        volumes = ((generator.volumes(z[row][None])[0] * self.mask).detach() for row in self.local)
        found = summarise(evaluate_volumes(volumes, self.images, self.truth, self.scorer), self.truth)
        of = {mask: found[mask]["resolution_in_angstroms"]["mean_over_frames"] for mask in self.scorer.masks}
        return of["whole"], of.get("moving", float("nan"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("simulations", type=Path, nargs="+")
    parser.add_argument("--networks", type=int, default=0, metavar="EPOCHS")
    given = parser.parse_args()
    sections = []
    for simulation in given.simulations:
        rows = list(compare(simulation, given.networks))
        sections.append(f"## {simulation.name}\n\n{table(rows)}\n{correlations(rows)}\n")
        print(sections[-1], flush=True)
        given.out.mkdir(parents=True, exist_ok=True)
        write_text(given.out / "held_out.md", "\n".join(sections))


def compare(simulation: Path, epochs: int) -> Iterator[Row]:
    movies = read_movies(simulation / "movies.star", ReadingOptions())
    prepared = prepare_frames(movies, PreprocessingOptions(), quiet)
    store = FrameStore(movies, prepared, torch.device("cpu"))
    consensus = find_consensus(store)
    generator = torch.Generator().manual_seed(0)
    folds = fit_folds(store, consensus.volume, max(CANDIDATES), generator, quiet)
    fold = folds[0]
    own = replace(find_consensus(fold.fitted), mask=consensus.mask)
    rows = np.sort(np.concatenate(store.movie_rows[1::2]))
    judge = Judge(simulation, torch.from_numpy(rows), consensus)
    scores = score_subspaces(folds, CANDIDATES)
    for dimension in sorted({*DIMENSIONS, scores.best}):
        volumes = volumes_of(fold, dimension, own, True)
        truth = judge.resolution(volumes, states(fold, dimension, True))
        name = f"{dimension}, auto" if dimension == scores.best else str(dimension)
        yield Row("latent dimension, subspace", name, scores.by_dimension[dimension], *truth)
        z = by_row(fold, fold.left_out(dimension).mean.float())
        yield Row(
            "latent dimension, volumes", name, score_volumes(volumes, z, own.volume, fold.scored), *truth
        )
    yield from bandwidths(fold, scores.best, own, judge)
    yield from methods(fold, scores.best, own, judge, epochs)


def bandwidths(fold: Fold, dimension: int, own: Consensus, judge: Judge) -> Iterator[Row]:
    """Volumes of each bandwidth: scored at states that know the frame, as the fit does, and that do not."""
    tried = choosing_bandwidths.BANDWIDTHS
    known, left = states(fold, dimension, True), by_row(fold, fold.left_out(dimension).mean.float())
    try:
        for bandwidth in BANDWIDTHS:
            choosing_bandwidths.BANDWIDTHS = (bandwidth,)
            volumes = volumes_of(fold, dimension, own, True)
            truth = judge.resolution(volumes, known)
            for kind, z in (("states with the frame", known), ("states without", left)):
                score = score_volumes(volumes, z, own.volume, fold.scored)
                yield Row(f"bandwidth, {kind}", f"{bandwidth:g}", score, *truth)
    finally:
        choosing_bandwidths.BANDWIDTHS = tried


def methods(fold: Fold, dimension: int, own: Consensus, judge: Judge, epochs: int) -> Iterator[Row]:
    """Held-out coefficients, which methods with and without time foretell alike."""
    kind = "method, coefficients"
    for name, timed in (("linear", True), ("linear without time", False)):
        volumes, z = volumes_of(fold, dimension, own, timed), states(fold, dimension, timed)
        score = linear_coefficients(fold, dimension, volumes, own, timed)
        yield Row(kind, name, score, *judge.resolution(volumes, z))
    for method in ("tempor", "cryodrgn") if epochs else ():
        options = FittingOptions(latent_dim=dimension, method=method, epochs=epochs, device="cpu")
        generator = torch.Generator().manual_seed(0)
        model = warm_start(fold.fitted, own, options, None, method == "tempor", generator).model
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(model, fold.fitted, options, epochs, method, Path(folder), generator)
            trainer.run(lambda record: None, quiet)
        model.eval()
        batch = fold.scored.movies(torch.arange(len(fold.scored.movie_rows)))
        nats = foretell_coefficients(model, fold.scored, batch, own.volume, generator)
        frames = fold.scored.frames(batch.rows)
        mean, _ = model.posterior(frames, batch, fold.scored.lattice, 2, generator)
        truth = judge.resolution(model.generator, by_row(fold, mean))
        yield Row(kind, method, over_movies(nats, batch.mask.nonzero()[:, 0]), *truth)


def linear_coefficients(
    fold: Fold, dimension: int, volumes: Generator, own: Consensus, timed: bool
) -> HeldOutScore:
    """A random half of each frame's coefficients from the other half, with time also from other frames'."""
    store, subspace = fold.scored, fold.first(dimension)
    batch = store.movies(torch.arange(len(store.movie_rows)))
    frames = store.frames(batch.rows)
    known = torch.rand(frames.transfer.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    part = only_known(frames, known)
    told = subspace.information(part.coefficients, part.transfer, part.rotation, store.lattice)
    time = fold.relaxation_time[:dimension] if timed else None
    z = smooth(batch.pad(told.matrix), batch.pad(told.vector), batch.interval, time, batch.mask)
    nats = gain_at(volumes, frames, z.mean[batch.mask], own.volume, store.lattice, ~known)
    return over_movies(nats, batch.mask.nonzero()[:, 0])


def volumes_of(fold: Fold, dimension: int, own: Consensus, timed: bool) -> Generator:
    """Back-projected along the states of the fitted movies."""
    subspace = fold.first(dimension)
    time = fold.relaxation_time[:dimension] if timed else None
    found = LinearStates(subspace, time, subspace_posterior(subspace, fold.fitted, time))
    return find_volumes(fold.fitted, found, own, 0).generator


def states(fold: Fold, dimension: int, timed: bool) -> torch.Tensor:
    """Of the scored frames, from their whole movies or each alone."""
    time = fold.relaxation_time[:dimension] if timed else None
    return subspace_posterior(fold.first(dimension), fold.scored, time).mean


def by_row(fold: Fold, values: torch.Tensor) -> torch.Tensor:
    """From movie by movie to the order of rows."""
    ordered = torch.empty_like(values)
    ordered[torch.cat([torch.from_numpy(rows) for rows in fold.scored.movie_rows])] = values
    return ordered


def table(rows: list[Row]) -> str:
    lines = ["| what | choice | held out (nats a frame) | moving (Å) | whole (Å) |", "|---|---|---|---|---|"]
    for row in rows:
        score = f"{row.score.nats_per_frame:.2f} ± {row.score.standard_error:.2f}"
        lines.append(f"| {row.kind} | {row.choice} | {score} | {row.moving:.2f} | {row.whole:.2f} |")
    return "\n".join(lines) + "\n"


def correlations(rows: list[Row]) -> str:
    lines = ["| what | rank correlation, moving | whole |", "|---|---|---|"]
    for kind in dict.fromkeys(row.kind for row in rows):
        of = [row for row in rows if row.kind == kind]
        if len(of) > 2:
            nats = [row.score.nats_per_frame for row in of]
            moving, whole = (spearmanr(nats, [get(row) for row in of]).statistic for get in _resolutions())
            lines.append(f"| {kind} | {moving:.2f} | {whole:.2f} |")
    return "\n".join(lines) + "\n"


def _resolutions() -> tuple[Callable[[Row], float], Callable[[Row], float]]:
    return (lambda row: row.moving), (lambda row: row.whole)


def quiet(*_: object) -> None:
    """Nobody is told of progress."""


if __name__ == "__main__":
    main()
