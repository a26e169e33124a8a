"""How figures look, and the two forms they leave in: files, and SVG that takes the colours of its page."""

import io
from html import escape
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from temporem.files import replacing

__all__ = ["COLOURS", "INK", "TIME", "in_house_style", "inline_svg", "new_figure", "write_figure"]

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6BB1", "#777777")
"""After Okabe and Ito: told apart by colour-blind eyes too."""
INK = "#1f2430"
"""Text and axes; in a page it becomes the page's own text colour."""
TIME = LinearSegmentedColormap.from_list("time", ["#0072B2", "#56B4E9", "#E69F00", "#D55E00"])
"""From early to late."""

in_house_style = rc_context(
    {
        "font.family": "sans-serif",
        "font.size": 10,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "svg.fonttype": "none",
        "svg.hashsalt": "temporem",
    }
)
"""Decorates the functions that draw."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches; it belongs to no window and to no global state."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


@in_house_style
def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a file of the format its suffix names."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=160, facecolor="white")


@in_house_style
def inline_svg(figure: Figure, label: str) -> str:
    """Return the figure as SVG that grows with its column; `label` is what a screen reader says of it."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("</metadata>") + len("</metadata>") :].replace(INK, "currentColor")
    width, height = (72 * x for x in figure.get_size_inches())
    # As wide as its column, within limits that keep its letters readable; a narrower screen scrolls.
    size = f"max-width:{1.4 * width:.0f}px;min-width:{0.8 * width:.0f}px"
    opening = (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}" style="{size}">'
    )
    return f'<div class="wide">{opening}{text}</div>'
