"""A run against the truth of simulated movies, with references; figures as JSON, tables as CSV."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from temporem.errors import UserError
from temporem.evaluation.alignment import OWN_FRAME, align_truth
from temporem.evaluation.evaluation_folder import write_evaluation, write_latent_figures
from temporem.evaluation.phase_randomise import first_randomised_shell, randomise_phases
from temporem.evaluation.pooled import pooled_scores
from temporem.evaluation.references import Reference
from temporem.evaluation.run_references import run_references
from temporem.evaluation.scoring import Ledger, Scorer, Scores, by_conformation, in_box, scorer_of, true_sides
from temporem.evaluation.summary import summarise, summarise_curves
from temporem.progress import progress
from temporem.reconstruction.run import Run
from temporem.seeds import check_seed
from temporem.simulation.truth import Truth

__all__ = ["EvaluationOptions", "evaluate"]

FRAMES_FOR_FLOOR = 32


@dataclass(frozen=True)
class EvaluationOptions:
    """What is compared with the truth."""

    frames: int | None = None
    """Score this many frames, evenly chosen; all of them by default."""
    references: bool = True
    """Score back-projections of the same images beside the run: consensus, clock and oracle."""
    reference_frames: int | None = 200
    """Score the references on this many of the frames, evenly chosen; None takes all."""
    pooled: bool = False
    """Score back-projections of as many frames, made anew, that all show one state: five states; minutes."""
    align: bool = False
    """Bring run and truth together by one rotation, shift and hand first, and give the poses' errors; always
    done where the run found its poses from nothing."""
    seed: int = 0
    """Of the random phases behind the floor, and of the noise in frames made anew."""


def evaluate(
    run: Run, truth: Truth, output: Path, options: EvaluationOptions | None = None
) -> dict[str, Any]:
    """Score every frame's volume and its latent; write the files of `evaluation_folder`.

    Definitions are those of the modules `fsc`, `masks`, `image_quality`, `phase_randomise`, `references`,
    `latent_agreement` and `latent_manifold`, and of `alignment` where asked for; lengths are in Å. Volumes
    are made one at a time and not kept. The same run gives the same figures.

    Raises UserError for options that make no sense, where the truth is not of the run's images, or where the
    references' images are gone.
    """
    options = EvaluationOptions() if options is None else options
    check_seed(options.seed)
    latents = run.latents()
    check_same_images(run, latents, truth)
    aligned: dict[str, Any] = {}
    if options.align or run.config.get("poses", {}).get("kind") in OWN_FRAME:
        truth, facts = align_truth(run.movies()[0], truth)
        aligned = {"alignment": facts}
    rows = evenly(range(len(truth)), options.frames)
    reference_rows = evenly(rows, options.reference_frames) if options.references else []
    scorer = scorer_of(truth)
    references = run_references(run, truth, scorer, reference_rows) if options.references else {}
    methods, floor = score(run, truth, scorer, rows, references, reference_rows, options.seed)
    if options.pooled:
        methods["pooled"] = pooled_scores(run, truth, scorer, options.seed)
    on_reference_frames = summarise(methods["run"].of(reference_rows), truth) if references else None
    return write_evaluation(
        output,
        methods,
        truth,
        scorer,
        {"phase-randomised floor": floor},
        **aligned,
        run_on_reference_frames=on_reference_frames,
        smoothing_width={name: widths(reference) for name, reference in references.items()},
        phase_randomised_floor={
            mask: summarise_curves(curves, truth.box_size, truth.pixel_size_in_angstroms)
            for mask, curves in floor.items()
        },
        **write_latent_figures(output, latents, truth, run.covariance()),
    )


def score(
    run: Run,
    truth: Truth,
    scorer: Scorer,
    rows: Sequence[int],
    references: dict[str, Reference],
    reference_rows: Sequence[int],
    seed: int,
) -> tuple[dict[str, Scores], dict[str, Tensor]]:
    """Scores by method, the run's under `run`, and the floor's curves (images, shells) by mask."""
    ledgers = {name: Ledger(scorer.masks) for name in ("run", *references)}
    floor: dict[str, list[Tensor]] = {name: [] for name, mask in scorer.masks.items() if mask is not None}
    with_references, with_floor = set(reference_rows), set(evenly(rows, FRAMES_FOR_FLOOR))
    generator = torch.Generator().manual_seed(seed)
    ordered = by_conformation(rows, truth)
    volumes = run.volumes(np.asarray(ordered))
    with progress("Comparing with the truth", len(ordered)) as advance:
        for (row, given), true in zip(volumes, true_sides(ordered, truth, scorer), strict=True):
            volume = in_box(given, scorer.box_size, row)
            fsc = {mask: scorer.fsc(volume, true, mask) for mask in scorer.masks}
            ledgers["run"].add(row, fsc, scorer.quality(volume, true))
            if row in with_floor:
                randomised = randomise_phases(volume, first_randomised_shell(fsc["whole"]), generator)
                for mask, curves in floor.items():
                    curves.append(scorer.fsc(randomised, true, mask))
            if row in with_references:
                for name, reference in references.items():
                    fsc = {mask: scorer.fsc(reference.volume(row, mask), true, mask) for mask in scorer.masks}
                    ledgers[name].add(row, fsc, scorer.quality(reference.volume(row, "whole"), true))
            advance(1, "")
    scores = {name: ledger.scores() for name, ledger in ledgers.items()}
    return scores, {mask: torch.stack(curves) for mask, curves in floor.items()}


def evenly(rows: Sequence[int], count: int | None) -> list[int]:
    """All rows, or this many of them, evenly chosen."""
    if count is not None and count < 1:
        raise UserError(f"cannot score {count} frames: choose at least 1.")
    if count is None or count >= len(rows):
        return list(rows)
    return [rows[index] for index in np.linspace(0, len(rows) - 1, count).round().astype(int)]


def check_same_images(run: Run, latents: pd.DataFrame, truth: Truth) -> None:
    """Raise UserError unless the run has the truth's images, in order, in a box of equal edge."""
    if len(latents) != len(truth) or not np.array_equal(latents["image"], np.arange(len(truth))):
        raise UserError(
            f"the run has {len(latents)} images and the truth {len(truth)}: give the truth of the movies "
            "that the run was made from."
        )
    edge = run.mask().shape[-1] * run.pixel_size_in_angstroms
    true_edge = truth.box_size * truth.pixel_size_in_angstroms
    if not math.isclose(edge, true_edge, rel_tol=0.005):
        raise UserError(
            f"the run's box is {edge:.1f} Å wide and the truth's {true_edge:.1f} Å: give the truth of the "
            "movies that the run was made from, or reconstruct with the right --pixel-size."
        )


def widths(reference: Reference) -> dict[str, float | None]:
    """By mask, as a fraction of the path's length; None where all frames weigh alike."""
    return {mask: width if math.isfinite(width) else None for mask, width in reference.width.items()}
