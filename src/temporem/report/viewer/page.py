"""The viewer's page, in one file."""

from importlib.resources import files

from temporem.report.page import page_of

__all__ = ["viewer_page"]

STYLE = """
<style>
:root { --path: #CC79A7; }
body { max-width: 110rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 42rem), 1fr)); gap: 1rem; }
.panels section { margin: 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); gap: .8rem; }
.pair canvas { width: min(100%, 62vh); aspect-ratio: 1; justify-self: center;
  border: 1px solid var(--line); border-radius: .4rem; }
canvas[data-part=map] { touch-action: none; cursor: crosshair; }
canvas[data-part=volume] { cursor: grab; }
.row { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; margin: .6rem 0 0; }
.row [hidden], .row[hidden] { display: none; }
.row input[type=range] { flex: 1; min-width: 8rem; }
.row input[type=number] { width: 4.5rem; }
button, select, input { font: inherit; padding: .25rem .6rem; }
button[aria-pressed=true] { outline: 2px solid var(--ink); }
[data-part=note] { min-height: 1.5em; }
</style>
"""

PANEL = """
<section data-panel><h2 data-part="name"></h2>
<div class="pair"><canvas data-part="map" aria-label="Map of the latent states"></canvas>
<canvas data-part="volume" aria-label="Volume of the state chosen"></canvas></div>
<div class="row"><select data-part="movie" aria-label="Movie"></select>
<button data-part="play">Play</button>
<input data-part="time" type="range" min="0" max="0" value="0" aria-label="Frame"></div>
<div class="row"><label for="level{n}">Contour level</label>
<input data-part="level" id="level{n}" type="range" min="0.02" max="0.98" step="0.005"></div>
<div class="row"><span>On the map:</span>
<button data-part="look" aria-pressed="true">look</button>
<button data-part="draw" aria-pressed="false">draw a path</button>
<button data-part="select" aria-pressed="false">select frames</button>
<button data-part="whole">select this movie</button></div>
<div class="row" data-part="saving" hidden><label>Name <input data-part="saved" value="new" size="12"></label>
<label>volumes <input data-part="count" type="number" min="2" max="200" value="16"></label>
<button data-part="save">Save</button></div>
<p class="soft"><span data-part="shown"></span> <span data-part="busy" role="status"></span></p>
<p data-part="note" role="status"></p></section>
"""


def viewer_page(count: int) -> str:
    """HTML of the page for so many runs, side by side."""
    assets = files("temporem.report")
    scripts = [
        (assets / place).read_text(encoding="utf-8") for place in ("assets/volume.js", "viewer/viewer.js")
    ]
    body = (
        STYLE
        + "<h1>temporem</h1><p class='soft'>Click a frame on the map, or drag along it, and see its volume; "
        "drag the volume to turn it. Each dot is an image, coloured from early (blue) to late (red).</p>"
        + f'<div class="panels">{"".join(PANEL.format(n=n) for n in range(count))}</div>'
        + "".join(f"<script>\n{script}</script>" for script in scripts)
    )
    return page_of("temporem view", body)
