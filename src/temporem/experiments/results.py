"""`results.md`: every claim, the paper's figure and ours, and each figure with its command."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from temporem import __version__
from temporem.errors import UserError
from temporem.experiments.claims import MASKS, findings, interval
from temporem.experiments.declared import Claim, figure_names, read_claims
from temporem.experiments.figure_folder import FIGURE
from temporem.files import replacing, write_text

__all__ = ["write_results"]

HEAD = """# The paper's comparisons, reproduced

*Written by `temporem reproduce results` from what was computed; edit it there, not here.* Version {version}.

Resolution is where the FSC with the truth first falls below 0.5, in Å, mean over frames: of the whole box,
and inside the soft mask where the truth moves. Improvement is the paper's Eq. 16, 100 (r of the baseline −
r) / r of the baseline. In brackets: 95 % intervals by bootstrap over movies, not frames. All networks of a
comparison had the same number of updates, counted from what their runs recorded. `tempor` and `cryodrgn`
are assemblies of the same networks; "paper's way" is an encoder of images, a generator that starts from
nothing, and the prior N(0, I). "One moving density" has no networks to train: it is what `temporem
reconstruct` does without options. "Twin": every movie starts in a random state and runs either way, so that
counting frames tells nothing. Figures share what they have in common (`DIR/cache`). The code that computed is
named by the hash that the cache is kept by (`temporem.experiments.code.code_digest`).
"""


POSES = """Poses of these arms are their own. The truth was brought to each by one rotation, shift and hand
for all frames (`evaluate --align`) before its volumes were scored, and the masks were made anew there; arms
not listed were scored where the given poses put them. The errors of the poses that remain:
"""


def write_results(folder: Path, docs: Path) -> Path:
    """Write the page of all figures in `folder` into `docs`, its pictures beside it; returns its path.

    Raises UserError where no figure was reproduced yet.
    """
    figures = {
        name: json.loads((folder / name / FIGURE).read_text(encoding="utf-8"))
        for name in figure_names()
        if (folder / name / FIGURE).exists()
    }
    if not figures:
        raise UserError(f"{folder} holds no figure: reproduce one first, as temporem reproduce fig3.")
    images = docs / "images" / "results"
    parts = [
        HEAD.format(version=__version__),
        "## Claims, and whether they hold\n",
        *_claims(figures),
    ]
    for name, figure in figures.items():
        parts += _section(name, figure)
        for picture in figure["pictures"]:
            _copy(folder / name / picture["file"], images / f"{name}-{picture['file']}")
            parts.append(f"![{picture['shows']}](images/results/{name}-{picture['file']})\n")
    path = docs / "results.md"
    write_text(path, "\n".join(parts))
    return path


def _claims(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "| claim | where | paper, or asked | ours | holds |"
    yield "|---|---|---|---|---|"
    notes = []
    for claim in read_claims():
        found = findings(claim, figures[claim.figure]["comparisons"]) if claim.figure in figures else []
        if not found:
            yield f"| {claim.text} ({claim.figure}) | | {_of_paper(claim)} | not computed | – |"
        for index, x in enumerate(found):
            text = f"{claim.text} ({claim.figure})" if index == 0 else ""
            yield f"| {text} | {x.where} | {_of_paper(claim)} | {x.ours} | {'yes' if x.holds else '**no**'} |"
        if claim.why and not all(x.holds for x in found):
            notes.append(f"- {claim.text}: where it does not hold: {claim.why.strip()}")
    yield ""
    yield from notes
    yield ""


def _of_paper(claim: Claim) -> str:
    parts = [] if claim.fraction is None else [f"{claim.fraction:.1%} of the frames"]
    parts += [] if claim.percent is None else [f"{claim.percent:+g} %"]
    parts += [] if claim.angstroms is None else [f"{claim.angstroms:+g} Å"]
    return ", ".join(parts)


def _section(name: str, figure: Mapping[str, Any]) -> Iterator[str]:
    entries = figure["comparisons"]
    seeds = " ".join(str(x) for x in figure["seeds"])
    yield f"## {name}: {figure['title']}\n"
    yield f"{figure['paper']}\n"
    command = f"temporem reproduce {name} --scale {figure['scale']} --seeds {seeds}"
    yield f"<!-- test: parse -->\n```sh\n{command}\n```\n"
    yield "| comparison | seed | arm | whole (Å) | moving (Å) | whole improved | moving | updates | s |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for entry in entries:
        yield from _rows(entry)
    yield ""
    devices = sorted({x for entry in entries for x in entry.get("devices", ())})
    yield f"Seconds of the reconstruction where it was not interrupted, on: {', '.join(devices) or '–'}.\n"
    if figure["seconds"] is not None:
        yield f"All steps, one after the other: {figure['seconds']:.0f} s.\n"
    yield f"Code that computed: {figure['code'][:12]}.\n"
    trained = dict.fromkeys(_trained(entries))
    if trained:
        yield f"Other programs, at the best of the epochs scored: {'; '.join(trained)}.\n"
    missing = {f"{arm}: {why}" for entry in entries for arm, why in entry["missing"].items()}
    if missing:
        yield f"Left out: {'; '.join(sorted(missing))}.\n"
    poses = list(_poses(entries))
    if poses:
        yield POSES
        yield (
            "| comparison | seed | arm | rotation, median (°) | 90 % within (°) "
            "| shift, median (Å) | 90 % within (Å) | hand |"
        )
        yield "|---|---|---|---|---|---|---|---|"
        yield from poses
        yield ""
    references = list(_references(entries))
    if references:
        yield "References on the same images (back-projection; on fewer frames, the run beside them):\n"
        yield "| data | seed | method | whole (Å) | moving (Å) |"
        yield "|---|---|---|---|---|"
        yield from references
        yield ""


def _rows(entry: Mapping[str, Any]) -> Iterator[str]:
    title, seed = entry["title"], entry["seed"]
    if "comparison" not in entry:
        yield f"| {title} | {seed} | not compared | | | | | | |"
        return
    comparison = entry["comparison"]
    for arm, figures in comparison["runs"].items():
        cells = [
            interval(figures[mask]["resolution_in_angstroms"]["mean_over_frames"], ".2f")
            if mask in figures
            else ""
            for mask in MASKS
        ]
        gain = comparison["improvement"].get(arm)
        gains = [_gained(gain[mask]["at_half"]) if gain and mask in gain else "baseline" for mask in MASKS]
        seconds = entry["seconds"].get(arm)
        effort = [str(entry["updates"].get(arm) or ""), "" if seconds is None else f"{seconds:.0f}"]
        yield f"| {title} | {seed} | {arm} | {' | '.join([*cells, *gains, *effort])} |"


def _gained(gain: Mapping[str, Any]) -> str:
    percent = interval(gain["mean_over_frames"]["percent"], "+.2f")
    return f"{percent} %, {gain['fraction_improved']['value']:.1%} of the frames"


def _trained(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        for arm, known in entry.get("evaluations", {}).items():
            if "epoch" in known:
                seconds = known.get("core_seconds")
                effort = "" if seconds is None else f", {seconds:.0f} s of a processor"
                yield f"{arm} on {entry['data']}, seed {entry['seed']}, epoch {known['epoch']}{effort}"


def _poses(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        for arm, known in entry.get("evaluations", {}).items():
            if "alignment" not in known:
                continue
            errors = known["alignment"]["pose_errors"]
            cells = [
                f"{errors[f'{what}_{name}']:.2f}"
                for name in ("rotation_in_degrees", "shift_in_angstroms")
                for what in ("median", "percentile_90")
            ]
            hand = "the other" if known["alignment"]["mirrored"] else "the truth's"
            yield f"| {entry['title']} | {entry['seed']} | {arm} | {' | '.join(cells)} | {hand} |"


def _references(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    seen = set()
    for entry in entries:
        for arm, known in entry.get("evaluations", {}).items():
            if not known["references"] or (entry["data"], entry["seed"]) in seen:
                continue
            seen.add((entry["data"], entry["seed"]))
            rows = {arm: known["run_on_reference_frames"], **known["references"]}
            for method, figures in rows.items():
                cells = [
                    f"{figures[mask]['resolution_in_angstroms']['mean_over_frames']:.2f}"
                    if mask in figures
                    else ""
                    for mask in MASKS
                ]
                yield f"| {entry['data']} | {entry['seed']} | {method} | {' | '.join(cells)} |"


def _copy(source: Path, target: Path) -> None:
    """In 256 colours, for a third of the size."""
    with replacing(target) as temporary, Image.open(source) as picture:
        picture.convert("RGB").quantize(256).save(temporary, format="PNG", optimize=True)
