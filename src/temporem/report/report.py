"""`report.html` of a run: what came out, from which fit and settings, and how near a known truth it is."""

import json
import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from temporem.errors import UserError
from temporem.evaluation.compared_runs import compared_with
from temporem.evaluation.evaluation_folder import OVER_TIME
from temporem.evaluation.null import noted_name, verdict_against_null
from temporem.reconstruction.latents_file import latent_columns
from temporem.reconstruction.run import Run
from temporem.reconstruction.uncertainty import OF_HALVES
from temporem.report.classes_section import classes_section
from temporem.report.directions_section import directions_section
from temporem.report.evaluation_figures import fsc_figure, resolution_figure
from temporem.report.figures import latent_map_figure, latents_figure, losses_figure, sections_figure
from temporem.report.halves_section import halves_section, halves_told
from temporem.report.held_out_section import held_out_section
from temporem.report.kinetics_figures import kinetics_section
from temporem.report.latent_densities import densities_figure
from temporem.report.manifold_section import manifold_part
from temporem.report.moving_molecule import moving_molecule_section
from temporem.report.over_time_figure import over_time_figure
from temporem.report.page import definitions, section, table, write_page
from temporem.report.poses_section import alignment_part, poses_section
from temporem.report.predicted_images import images_section
from temporem.report.run_facts import evenly_spaced, flat, losses, most_telling_movie, time_label
from temporem.report.shown_movie import ShownMovie, shown_movie
from temporem.report.style import inline_svg
from temporem.report.umap_figure import has_umap, umap_figure
from temporem.report.verdict import verdict

__all__ = ["evaluation_section", "write_report"]

SECTIONS_SHOWN = 8


def write_report(run: Run) -> Path:
    """Write `report.html`, of all that the run folder holds, into it and return its path."""
    config, latents = run.config, run.latents()
    folder = run.path / "evaluation"
    shown = shown_movie(run, latents)
    null = verdict_against_null(run)
    told = verdict(config, folder, halves_told(run.path / OF_HALVES), null, compared_with(run))
    parts = [
        _heading(run, config, latents, told),
        moving_molecule_section(shown),
    ]
    if (folder / "evaluation.json").exists():
        parts.append(evaluation_section(folder))
    parts.append(halves_section(run.path / OF_HALVES))
    parts.append(poses_section(config.get("poses", {})))
    parts.append(held_out_section(config.get("held_out", {}), null.sentence if null else ""))
    parts += [
        _latents(latents, time_label(config)),
        classes_section(run, latents, shown),
        _sections(run, shown),
        images_section(run, shown),
        directions_section(run),
    ]
    if (run.path / "kinetics" / "kinetics.json").exists():
        parts.append(kinetics_section(run.path / "kinetics"))
    parts.append(_fit(run))
    parts.append(_settings(run, config, latents))
    path = run.path / "report.html"
    write_page(path, f"temporem: {noted_name(run)}", "\n".join(x for x in parts if x))
    return path


def evaluation_section(folder: Path) -> str:
    """The comparison with the truth: a table of methods, FSC curves, and the frames' resolutions."""
    try:
        summary: dict[str, Any] = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
        fsc, frames = pd.read_csv(folder / "fsc.csv"), pd.read_csv(folder / "frames.csv")
    except (OSError, ValueError) as error:
        raise UserError(
            f"the evaluation in {folder} cannot be read ({error}); run temporem evaluate again."
        ) from None
    masks = list(summary["masks"])
    methods = summary["methods"]
    if len(methods) > 1:
        # References may be scored on fewer frames: beside them stands the run on the same ones.
        methods = methods | {"run": summary.get("run_on_reference_frames") or methods["run"]}
    rows = [
        [
            name,
            str(facts["frames"]),
            *(f"{facts[mask]['resolution_in_angstroms']['mean_over_frames']:.2f}" for mask in masks),
            f"{facts['psnr_in_decibels']:.1f}",
            f"{facts['ssim']:.3f}",
        ]
        for name, facts in methods.items()
    ]
    return section(
        "Against the truth",
        table(["", "frames", *(f"{mask} (Å)" for mask in masks), "PSNR (dB)", "SSIM"], rows),
        '<p class="soft">Resolution at FSC 0.5, mean over frames; smaller is better. Molecule and moving are'
        " soft masks made from the truth: around the molecule, and where it varies over the states.</p>",
        alignment_part(summary.get("alignment")),
        inline_svg(fsc_figure(fsc), "Mean Fourier shell correlation with the truth"),
        inline_svg(resolution_figure(frames), "Resolution of every frame against its true state"),
        _over_time(folder),
        manifold_part(folder, summary),
    )


def _over_time(folder: Path) -> str:
    # Evaluations of before it was written come without.
    if not (folder / OVER_TIME).exists():
        return ""
    figure = over_time_figure(pd.read_csv(folder / OVER_TIME), "mean FSC with the truth")
    return inline_svg(figure, "FSC with the truth over time") + (
        '<p class="soft">FSC over time: mean over the movies by frame index; the line is at 0.5.</p>'
    )


def _heading(run: Run, config: dict[str, Any], latents: pd.DataFrame, told: Sequence[str]) -> str:
    lengths = latents.groupby("movie").size()
    frames = str(lengths.min()) if lengths.nunique() == 1 else f"{lengths.min()} to {lengths.max()}"
    facts = f"{len(lengths)} movies of {frames} frames, {len(latents)} images; {config.get('input', '')}"
    headline, *beneath = told
    return (
        f"<h1>{escape(run.path.name)}</h1><p class='soft'>{escape(facts)}</p>"
        f"<p><strong>{escape(headline)}</strong></p>"
        + "".join(f"<p class='soft'>{escape(sentence)}</p>" for sentence in beneath)
    )


def _settings(run: Run, config: dict[str, Any], latents: pd.DataFrame) -> str:
    place, example = shlex.quote(str(run.path)), shlex.quote(most_telling_movie(latents))
    made = shlex.join(map(str, config["command"])) if "command" in config else ""
    commands = (
        f"temporem view {place}",
        f"temporem volumes {place} -o volumes --movie {example}",
    )
    return section(
        "Settings",
        *([f"<p>Made by</p><pre>{escape(made)}</pre>"] if made else []),
        "<p>To explore it in the browser, or to see a movie's volumes in ChimeraX:</p>"
        f"<pre>{escape(chr(10).join(commands))}</pre>",
        f"<details><summary>All of config.json</summary>{definitions(flat(config))}</details>",
    )


def _sections(run: Run, shown: ShownMovie) -> str:
    some = shown.some(SECTIONS_SHOWN)
    volumes = {f"frame {shown.frames['frame'].iloc[i]}": shown.volumes[i].numpy() for i in some}
    return section(
        f"Volumes of movie {shown.movie}",
        inline_svg(sections_figure(volumes, run.pixel_size_in_angstroms), "Central sections of the volumes"),
        '<p class="soft">Central sections of some frames, in one gray scale.</p>',
    )


def _latents(latents: pd.DataFrame, label: str) -> str:
    columns = latent_columns(latents)
    travel = latents.groupby("movie", sort=False)[columns].var().sum(axis=1).sort_values()
    # Movies that travel most, median and least.
    movies = [str(travel.index[-1 - x]) for x in evenly_spaced(len(travel), 3)]
    return section(
        "Latent states over time",
        inline_svg(latents_figure(latents, label, movies), "Latent states of movies over time"),
        '<p class="soft">The dimensions that vary most. Gray: all movies. In colour: the movies that travel'
        " most, middling and least, with ± one marginal posterior standard deviation.</p>",
        inline_svg(
            latent_map_figure(latents, label), "Principal axes of the latent states, coloured by time"
        ),
        *_umap(latents, label),
        inline_svg(densities_figure(latents), "Density of every movie's states"),
        '<p class="soft">Where the frames of all movies lie along the first principal axis (above), and '
        "those of each movie, a row each in order of their means: some stay, some travel.</p>",
    )


def _umap(latents: pd.DataFrame, label: str) -> list[str]:
    if not has_umap(latents):
        return []
    return [
        inline_svg(umap_figure(latents, label), "UMAP of the latent states, coloured by time"),
        '<p class="soft">The same by UMAP: neighbours stay together, distances mean nothing.</p>',
    ]


def _fit(run: Run) -> str:
    records = run.metrics()
    if not records:
        return ""
    metrics, terms, step, stage = losses(records)
    if not terms:
        return ""
    return section(
        "The fit",
        inline_svg(losses_figure(metrics, terms, step, stage), "Terms of the objective over the fit"),
    )
