"""`results.md`: every claim, the paper's figure and ours, and each figure with its command."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from temporem import __version__
from temporem.errors import UserError
from temporem.experiments.claims import findings
from temporem.experiments.declared import Claim, figure_names, read_claims
from temporem.experiments.figure_folder import FIGURE
from temporem.experiments.figure_section import section
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
        parts += section(name, figure)
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


def _copy(source: Path, target: Path) -> None:
    """In 256 colours, for a third of the size."""
    with replacing(target) as temporary, Image.open(source) as picture:
        picture.convert("RGB").quantize(256).save(temporary, format="PNG", optimize=True)
