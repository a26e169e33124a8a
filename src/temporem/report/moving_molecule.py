"""The molecule in motion on the page: surfaces to turn and play, and pictures where that cannot be."""

import base64
import json
import zlib
from html import escape
from importlib.resources import files

from temporem.report.page import picture, section
from temporem.report.shown_movie import ShownMovie
from temporem.report.volume_bytes import ByteScale

__all__ = ["moving_molecule_section", "surfaces_strip"]

SURFACE = (0.90, 0.62, 0.20)
PICTURES = 6

STYLE = """
<style>
.molecule canvas { display: block; width: min(100%, 62vh); aspect-ratio: 1; margin: 0 auto; cursor: grab; }
.controls { display: grid; grid-template-columns: auto 1fr; gap: .5rem .8rem; align-items: center;
  max-width: 36rem; margin: .5rem auto 0; }
.controls button { font: inherit; padding: .3rem .9rem; min-width: 5.5rem; }
.controls input { width: 100%; }
.molecule .still { display: none; }
.molecule.flat .still { display: block; }
.molecule.flat canvas, .molecule.flat .controls { display: none; }
@media print {
  .molecule canvas, .molecule .controls { display: none; }
  .molecule .still { display: block; }
}
</style>
"""


def moving_molecule_section(shown: ShownMovie) -> str:
    """A movie's surfaces at one level, with a slider for time, a play button and the level; held in the page.

    Browsers without WebGL 2, and paper, get pictures of some frames.
    """
    scale = ByteScale.of(shown.mask, shown.level)
    packed = [
        base64.b64encode(zlib.compress(scale.bytes_of(volume).tobytes(), 9)).decode()
        for volume in shown.volumes
    ]
    data = {
        "box": scale.box,
        "level": scale.share(shown.level),
        "view": shown.scene.view.flatten().tolist(),
        "zoom": shown.scene.zoom * 2 * scale.half_box / len(shown.mask),
        "colour": SURFACE,
        "labels": shown.labels,
        "volumes": packed,
    }
    scripts = "".join(
        f"<script>\n{(files('temporem.report') / 'assets' / name).read_text(encoding='utf-8')}</script>"
        for name in ("volume.js", "molecule.js")
    )
    count, of = len(packed), shown.frames_in_movie
    which = f"all {of} frames" if count == of else f"{count} of its {of} frames, evenly spaced"
    held = f'<script type="application/json" id="molecule-data">{json.dumps(data)}</script>'
    return section(
        f"Movie {shown.movie} in motion",
        STYLE,
        '<div class="molecule" id="molecule"><canvas aria-label="The molecule\'s surface; drag to turn">'
        '</canvas><div class="controls"><button data-part="play">Play</button>'
        f'<input data-part="time" type="range" min="0" max="{len(packed) - 1}" value="0" aria-label="Frame">'
        '<span data-part="label"></span><span></span>'
        '<label for="molecule-level">Contour</label>'
        '<input data-part="level" id="molecule-level" type="range" min="0.02" max="0.98" step="0.005"></div>'
        f'<div class="still">{surfaces_strip(shown)}</div></div>',
        f'<p class="soft">The volumes recovered for {which}, drawn as surfaces at one level. Drag to turn, '
        "scroll to zoom.</p>",
        held,
        scripts,
    )


def surfaces_strip(shown: ShownMovie) -> str:
    """Pictures of some frames' surfaces, side by side."""
    figures = []
    for i in shown.some(PICTURES):
        frame = int(shown.frames["frame"].iloc[i])
        drawn = shown.scene.draw(shown.volumes[i], shown.level, SURFACE, 180)
        caption = f"<figcaption>{escape(f'frame {frame}')}</figcaption>"
        figures.append(f"<figure>{picture(drawn, f'Surface of frame {frame}')}{caption}</figure>")
    return f'<div class="strip">{"".join(figures)}</div>'
