"""What the latents know of the truth, in words and in a figure."""

from html import escape
from pathlib import Path
from typing import Any

from temporem.report.evaluation_figures import manifold_of
from temporem.report.style import inline_svg

__all__ = ["manifold_part"]


def manifold_part(folder: Path, summary: dict[str, Any]) -> str:
    """Sentences from an evaluation's JSON, and the figure where its folder holds `manifold.csv`."""
    parts = [f"<p>{escape(agreement_told(summary['latent_agreement'], summary.get('value_unit')))}</p>"]
    coverage = summary.get("latent_coverage")
    if coverage is not None:
        told = (
            "Intervals of 90 %, mapped to the state by other movies, hold it in"
            f" {coverage['coverage']:.0%} of frames."
        )
        parts.append(f"<p>{escape(told)}</p>")
    if (folder / "manifold.csv").exists():
        parts.append(f"<p>{escape(manifold_told(summary['latent_manifold']))}</p>")
        parts.append(inline_svg(manifold_of(folder), "Latents beside the true states and categories"))
        parts.append(
            '<p class="soft">Every image of every movie; no label was given to the fit. The axes are the'
            " latents' principal ones.</p>"
        )
    return "\n".join(parts)


def agreement_told(agreement: dict[str, float] | None, unit: str | None) -> str:
    """How well a regression reads the state, which has this unit."""
    if agreement is None:
        return "The state never changes, or there is one movie only: nothing to ask of the latents."
    told = (
        f"By regression over other movies, the latents tell the true state with R² "
        f"{agreement['linear_r_squared']:.3f} (linear) and {agreement['neighbour_r_squared']:.3f} (nearest)."
    )
    # Evaluations of earlier versions lack it.
    if "median_error" in agreement:
        told += f" A monotone map of one direction errs by {agreement['median_error']:.3g} in the median"
        told += f" (unit: {unit})." if unit else "."
    return told


def manifold_told(manifold: dict[str, Any]) -> str:
    """The figures that can be asked for."""
    sentences = {
        "leading_axis_spearman": "Rank correlation of the first axis with the state: {:.3f}.",
        "ordering_spearman": "Of the ordering along their bend: {:.3f}.",
        "silhouette": "Silhouette of the true categories: {:.2f}.",
        "category_accuracy": "Nearest frames of other movies vote for the right category in {:.0%} of frames",
        "largest_category": "(a guess: {:.0%}).",
        "step_ratio": "From frame to frame the latents move {:.2f} times as far as between random ones",
        "state_step_ratio": "(the true state: {:.2f}).",
    }
    pairs = (("category_accuracy", "largest_category"), ("step_ratio", "state_step_ratio"))
    asked = {name for name in sentences if manifold[name] is not None}
    for first, second in pairs:
        if first not in asked:
            asked -= {second}
    return " ".join(text.format(manifold[name]) for name, text in sentences.items() if name in asked)
