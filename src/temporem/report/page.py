"""A page in one file: nothing from elsewhere, light or dark as its reader has it, readable on a phone."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.image import imsave

from temporem.files import write_text

__all__ = ["definitions", "page_of", "picture", "section", "table", "write_page"]

STYLE = """
:root { color-scheme: light dark;
  --ink: #1f2430; --soft: #5b6472; --page: #fbfbf9; --card: #fff; --line: #dfe2e6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaee; --soft: #a2abb8; --page: #14171c; --card: #1c2027; --line: #343a44; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1rem 4rem;
  background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; }
p { margin: .4rem 0; max-width: 46rem; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem; margin: 1rem 0; }
.wide { overflow-x: auto; }
.wide svg { display: block; width: 100%; height: auto; }
.strip { display: flex; gap: .4rem; overflow-x: auto; }
figure { margin: 0; text-align: center; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .9rem .25rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
code, pre { font: .85rem/1.5 ui-monospace, monospace; }
pre { overflow-x: auto; margin: .4rem 0; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .2rem 1rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
@media print {
  :root { color-scheme: light;
    --ink: #1f2430; --soft: #5b6472; --page: #fff; --card: #fff; --line: #dfe2e6; }
  section, figure, tr { break-inside: avoid; }
  /* Paper does not scroll. */
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  .wide svg { min-width: 0 !important; }
  th, td { white-space: normal; overflow-wrap: anywhere; padding-right: .5rem; }
  .strip { flex-wrap: wrap; }
}
"""


def write_page(path: Path, title: str, body: str) -> None:
    """Write an HTML page with this title and body, atomically."""
    write_text(path, page_of(title, body))


def page_of(title: str, body: str) -> str:
    """Return an HTML page with this title and body."""
    head = (
        '<meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def section(title: str, *parts: str) -> str:
    """Return a titled card."""
    return f"<section><h2>{escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table that scrolls sideways where the screen is narrow."""
    top = "".join(f"<th>{escape(x)}</th>" for x in header)
    lines = "".join("<tr>" + "".join(f"<td>{escape(x)}</td>" for x in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{top}</tr>{lines}</table></div>'


def definitions(entries: Mapping[str, str]) -> str:
    """Return names with what they stand for."""
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in entries.items()) + "</dl>"


def picture(pixels: npt.NDArray[np.uint8], label: str, identifier: str | None = None) -> str:
    """Return an image (rows, columns, RGBA) held in the page itself."""
    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png")
    data = base64.b64encode(buffer.getvalue()).decode()
    name = "" if identifier is None else f' id="{identifier}"'
    size = f'width="{pixels.shape[1]}" height="{pixels.shape[0]}"'
    return f'<img{name} {size} alt="{escape(label)}" src="data:image/png;base64,{data}">'
