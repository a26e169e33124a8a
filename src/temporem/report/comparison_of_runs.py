"""`comparison.html`: runs beside each other, and how much better each is than one of them."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from temporem.evaluation.comparison import Comparison
from temporem.report.comparison_figures import comparison_figures, write_comparison_figures
from temporem.report.page import section, table, write_page
from temporem.report.style import inline_svg

__all__ = ["write_comparison_of_runs", "write_sentences"]


def write_comparison_of_runs(comparison: Comparison, folder: Path, first: Sequence[str] = ()) -> Path:
    """Write a comparison's tables, figures (PNG, SVG) and `comparison.html`; return the page's path.

    Sentences on nulls stand `first`.
    """
    figures = comparison_figures(comparison.frames, comparison.fsc, comparison.summary["against"])
    write_comparison_figures(figures, folder)
    comparison.write(folder)
    path = folder / "comparison.html"
    write_page(path, "temporem: runs compared", body(comparison.summary, figures, first))
    return path


def write_sentences(sentences: Sequence[str], folder: Path) -> Path:
    """Write a `comparison.html` of runs that were scored against no truth; return its path."""
    path = folder / "comparison.html"
    told = '<p class="soft">No truth was compared: temporem evaluate adds figures where there is one.</p>'
    write_page(path, "temporem: runs compared", "<h1>Runs and their nulls</h1>" + _strong(sentences) + told)
    return path


def _strong(sentences: Sequence[str]) -> str:
    return "".join(f"<p><strong>{escape(sentence)}</strong></p>" for sentence in sentences)


def body(summary: dict[str, Any], figures: dict[str, Figure], first: Sequence[str] = ()) -> str:
    """The page's content."""
    against = summary["against"]
    told = (
        f"{summary['frames']} frames of {summary['movies']} movies, the same for every run. In brackets: "
        f"95 % intervals, from {summary['draws']} draws of whole movies (seed {summary['seed']})."
    )
    return "\n".join(
        (
            f"<h1>{escape(', '.join(summary['runs']))}</h1>",
            _strong(first),
            f'<p class="soft">{escape(told)}</p>',
            section(
                "Resolution at FSC 0.5",
                resolution_table(summary),
                '<p class="soft">In Å, smaller is better; mean over frames, and that of the mean curve. At'
                " Nyquist: frames whose FSC never falls below 0.5.</p>",
            ),
            section("Mean FSC", inline_svg(figures["fsc"], "Mean Fourier shell correlation of every run")),
            section(
                f"Improvement over {against}",
                improvement_table(summary),
                '<p class="soft">Improvement factor, Eq. 16: 100 (r of the other − r) / r of the other, with'
                " r the resolution in Å. Equal frames are neither better nor worse; in brackets, those equal"
                " because both runs reach Nyquist, where the factor is 0 whatever lies beyond.</p>",
                inline_svg(figures["improvement"], "Histograms of the improvement factor"),
            ),
            section("PSNR and SSIM, after a low-pass", quality_table(summary)),
            latents_section(summary),
            section(
                "Every frame",
                inline_svg(figures["resolution"], "Resolution of every frame against its true state"),
            ),
        )
    )


def resolution_table(summary: dict[str, Any]) -> str:
    """A row per run and mask."""
    rows = []
    for name, figures in summary["runs"].items():
        for mask in summary["masks"]:
            resolution, largest = (
                figures[mask][x] for x in ("resolution_in_angstroms", "largest_k_above_half_in_angstroms")
            )
            rows.append(
                [
                    f"{name}, {mask}",
                    told(resolution["mean_over_frames"], 2),
                    told(resolution["of_mean_curve"], 2),
                    f"{figures[mask]['frames_at_nyquist']} of {summary['frames']}",
                    told(largest["mean_over_frames"], 2),
                ]
            )
    header = ["", "mean over frames", "of the mean curve", "at Nyquist", "largest k above 0.5"]
    return table(header, rows)


def improvement_table(summary: dict[str, Any]) -> str:
    """A row per run and mask."""
    rows = []
    for name, gains in summary["improvement"].items():
        for mask in summary["masks"]:
            gain = gains[mask]["at_half"]
            rows.append(
                [
                    f"{name}, {mask}",
                    percent(gain["fraction_improved"]),
                    f"{gain['fraction_tied']['value']:.0%} ({gains[mask]['frames_both_at_nyquist']})",
                    told(gain["mean_over_frames"]["percent"], 2),
                    told(gain["mean_over_frames"]["angstroms"], 3),
                    told(gain["of_mean_curve"]["percent"], 2),
                    told(gain["of_mean_curve"]["angstroms"], 3),
                ]
            )
    header = ["", "frames better", "equal (at Nyquist)", "mean (%)", "mean (Å)"]
    return table([*header, "mean curve (%)", "mean curve (Å)"], rows)


def quality_table(summary: dict[str, Any]) -> str:
    """A row per run; beside each figure its difference from the run compared with."""
    rows = []
    for name, figures in summary["runs"].items():
        gains = summary["improvement"].get(name)
        row = [name]
        for quality, digits in (("psnr_in_decibels", 2), ("ssim", 4)):
            row.append(told(figures[quality], digits))
            row.append("" if gains is None else told(gains[quality]["difference"], digits))
        rows.append(row)
    return table(["", "PSNR (dB)", "difference", "SSIM", "difference"], rows)


def latents_section(summary: dict[str, Any]) -> str:
    """What each run's latents know of the truth; nothing where no run has any."""
    columns = {
        "first axis": ("leading_axis_spearman", "{:.3f}"),
        "along the bend": ("ordering_spearman", "{:.3f}"),
        "silhouette": ("silhouette", "{:.3f}"),
        "right category": ("category_accuracy", "{:.1%}"),
        "step": ("step_ratio", "{:.2f}"),
    }
    rows = []
    for name, figures in summary["runs"].items():
        if figures["latents"] is None:
            continue
        values = [(figures["latents"][key], text) for key, text in columns.values()]
        rows.append([name, *("" if value is None else text.format(value) for value, text in values)])
    if not rows:
        return ""
    return section(
        "Latents",
        table(["", *columns], rows),
        '<p class="soft">Rank correlation of the first principal axis, and of the order along its bend, with'
        " the true state; how the true categories part; how often the nearest frames of other movies vote for"
        " the right one; the mean step from frame to frame over the distance of random frames.</p>",
    )


def told(estimate: dict[str, float | None], digits: int) -> str:
    """A figure with its interval."""
    text = f"{estimate['value']:.{digits}f}"
    if estimate["low"] is None:
        return text
    return f"{text} [{estimate['low']:.{digits}f}, {estimate['high']:.{digits}f}]"


def percent(estimate: dict[str, Any]) -> str:
    """A fraction with its interval, in per cent."""
    return told({name: None if x is None else 100 * x for name, x in estimate.items()}, 0) + " %"
