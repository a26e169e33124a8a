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
How to run it: [Reproducing the paper](reproducing.md).

Resolution is where the FSC with the truth first falls below 0.5, in Å, mean over frames, and that of the mean
curve: of the whole box, and inside the soft mask where the truth moves. Improvement is the paper's Eq. 16,
100 (r of the baseline − r) / r of the baseline; frames that both have at Nyquist are tied, and count as not
improved. In brackets: 95 % intervals by bootstrap over movies, not frames. PSNR and SSIM are after a low-pass
at 3 pixels.

All networks of ours in a comparison had the same number of updates, counted from what their runs recorded;
the real cryoDRGN had more. `tempor` and `cryodrgn` are assemblies of the same networks, and start from
volumes back-projected along the states of a linear model. "Paper's way" is an encoder of images, a generator
that starts from nothing, and the prior N(0, I); at `small` it is trained for minutes, and its volumes stay
behind the consensus: such rows compare methods after equally short training, and do not show what long
training gives. "One moving density" has no networks to train: it is what `temporem reconstruct` does without
options. "Twin": every movie starts in a random state and runs either way, so that counting frames tells
nothing; elsewhere `clock` has what averages along the true states have, and what time gives cannot be told
from counting.

A claim holds where every seed reaches the fraction of frames and the percentage asked (Å are judged only
where no percentage is asked); "better", where the interval lies above 0; a null, where the interval reaches
0 and no more than half of the frames improve within theirs; orders and rising lines are judged by their
values. Figures share what they have in common (`DIR/cache`). The code that computed is named by the hash that
the cache is kept by (`temporem.experiments.code.code_digest`).
"""
REQUIRED = {"name", "title", "paper", "code", "scale", "seeds", "panels", "seconds", "structures", "peers"}
REQUIRED |= {"comparisons", "pictures"}


POSES = """Poses of these arms are their own. The truth was brought to each by one rotation, shift and hand
for all frames (`evaluate --align`) before its volumes were scored, and the masks were made anew there; arms
not listed were scored where the given poses put them. The errors of the poses that remain:
"""


LATENTS = """What the latents tell of the true state, of all images (the meaning of each figure:
[What each figure means](figures.md)):
"""
MANIFOLD = (
    "ordering_spearman",
    "silhouette",
    "category_accuracy",
    "largest_category",
    "step_ratio",
    "state_step_ratio",
)


def write_results(folder: Path, docs: Path) -> Path:
    """Write the page of all figures in `folder` into `docs`, its pictures beside it; returns its path.

    Raises UserError where no figure was reproduced yet, or one cannot be read.
    """
    figures = {
        name: _read(folder / name / FIGURE) for name in figure_names() if (folder / name / FIGURE).exists()
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


def _read(path: Path) -> dict[str, Any]:
    try:
        figure: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if REQUIRED - figure.keys():
            raise ValueError("it is of another version")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): run temporem reproduce {path.parent.name} again."
        ) from None
    return figure


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
    command += " --peer PEERS" if figure["peers"] else ""
    yield f"<!-- test: parse -->\n```sh\n{command}\n```\n"
    yield (
        "| comparison | seed | arm | whole (Å) | moving (Å) | of mean curves (Å) "
        "| whole improved | moving improved | PSNR (dB), SSIM | updates | s |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for entry in entries:
        yield from _rows(entry)
    yield ""
    yield from _facts(figure)
    if "latents" in figure["panels"]:
        yield LATENTS
        yield (
            "| comparison | seed | arm | state, linear R² | by neighbours, R² | rank correlation "
            "| of the order | silhouette | category by neighbours | chance | step ratio | the truth's |"
        )
        yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
        yield from _latents(entries)
        yield ""
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


def _facts(figure: Mapping[str, Any]) -> Iterator[str]:
    """What was scored, how long it took, what computed, and what is missing."""
    entries = figure["comparisons"]
    made = [x["comparison"] for x in entries if "comparison" in x]
    scored = dict.fromkeys(f"{x['frames']} frames of {x['movies']} movies" for x in made)
    yield f"Scored: {', '.join(scored) or '–'}. Structures: {', '.join(figure['structures']) or '–'}.\n"
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


def _rows(entry: Mapping[str, Any]) -> Iterator[str]:
    title, seed = entry["title"], entry["seed"]
    if "comparison" not in entry:
        yield f"| {title} | {seed} | not compared | | | | | | | | |"
        return
    comparison = entry["comparison"]
    for arm, figures in comparison["runs"].items():
        cells = [_resolved(figures[mask], comparison["frames"]) if mask in figures else "" for mask in MASKS]
        curves = [figures[x]["resolution_in_angstroms"]["of_mean_curve"] for x in MASKS if x in figures]
        cells.append(" / ".join(f"{x['value']:.2f}" for x in curves))
        gain = comparison["improvement"].get(arm)
        gains = [_gained(gain[mask]["at_half"]) if gain and mask in gain else "baseline" for mask in MASKS]
        seconds = entry["seconds"].get(arm)
        quality = f"{figures['psnr_in_decibels']['value']:.1f}, {figures['ssim']['value']:.3f}"
        effort = [quality, str(entry["updates"].get(arm) or ""), "" if seconds is None else f"{seconds:.0f}"]
        yield f"| {title} | {seed} | {arm} | {' | '.join([*cells, *gains, *effort])} |"


def _resolved(figures: Mapping[str, Any], frames: int) -> str:
    told = interval(figures["resolution_in_angstroms"]["mean_over_frames"], ".2f")
    nyquist = figures["frames_at_nyquist"]
    return f"{told}, {nyquist / frames:.0%} at Nyquist" if nyquist else told


def _gained(gain: Mapping[str, Any]) -> str:
    percent = interval(gain["mean_over_frames"]["percent"], "+.2f")
    tied = gain["fraction_tied"]["value"]
    equal = f", {tied:.0%} tied" if tied else ""
    return f"{percent} %, {gain['fraction_improved']['value']:.1%} of the frames{equal}"


def _trained(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        for arm, known in entry.get("evaluations", {}).items():
            if "epoch" in known:
                seconds = known.get("core_seconds")
                effort = "" if seconds is None else f", {seconds:.0f} s of a processor"
                until = known.get("epochs_trained")
                whole = "" if until is None else f" of {until}"
                # The last epoch being the best, more could have made it better.
                still = ", still improving" if until == known["epoch"] else ""
                where = f"{arm} on {entry['data']}, seed {entry['seed']}"
                yield f"{where}, epoch {known['epoch']}{whole}{effort}{still}"


def _latents(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        for arm, known in entry.get("evaluations", {}).items():
            agreement, manifold = known.get("latent_agreement"), known.get("latent_manifold")
            if not agreement or not manifold:
                continue
            figures = [agreement[x] for x in ("linear_r_squared", "neighbour_r_squared", "spearman")]
            figures += [manifold.get(x) for x in MANIFOLD]
            cells = ["" if x is None else f"{x:.3f}" for x in figures]
            yield f"| {entry['title']} | {entry['seed']} | {arm} | {' | '.join(cells)} |"


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
            for name, floor in known.get("phase_randomised_floor", {}).items():
                rows.setdefault(f"{arm}, phases randomised", {})[name] = floor
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
