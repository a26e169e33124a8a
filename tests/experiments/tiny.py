"""A catalogue and figures so small that everything in them is computed in seconds."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from temporem.cli.main import main
from temporem.experiments.declared import Catalogue, Figure, parse_catalogue, parse_figure

SCALES = {
    "small": {"seeds": [0], "reconstruct": [], "evaluate": ["--frames", "12", "--reference-frames", "6"]},
    "paper": {"seeds": [0, 1], "reconstruct": ["--epochs", "4"], "evaluate": []},
}
MODEL = [
    "--width", "8", "--layers", "1", "--epochs", "2", "--frames-per-batch", "8", "--device", "cpu",
    "--features", "image", "--no-explicit",
]  # fmt: skip
TABLE: dict[str, Any] = {
    "scales": SCALES,
    "data": {
        "peptide": {
            "simulate": [
                "torsion", "--residue", "6", "--movies", "12", "--frames", "4", "--box-size", "16",
                "--snr", "20", "--no-ctf",
            ],
            "structures": {"--structure": "1pep"},
            "latent_dim": 1,
            "scales": {"paper": ["--movies", "8"]},
        },
        "peptide shuffled": {"of": "peptide", "derive": {"shuffled": 0}, "latent_dim": 1},
    },
    "arms": {
        "tempor": {"options": ["--method", "tempor", *MODEL], "references": True},
        "cryodrgn": {"options": ["--method", "cryodrgn", *MODEL]},
        "longer": {"options": ["--method", "tempor", *MODEL, "--epochs", "3"]},
        "other program": {"external": "cryodrgn"},
        "hetem": {"options": ["--method", "hetem", *MODEL], "evaluate": ["--align"]},
    },
}  # fmt: skip


def catalogue() -> Catalogue:
    return parse_catalogue(TABLE)


def figure(arms: Sequence[str] = ("tempor", "cryodrgn"), data: str = "peptide", **more: Any) -> Figure:
    table = {
        "title": "A figure",
        "paper": "What the paper has.",
        "panels": ["volumes", "fsc", "improvement", "latents"],
        "comparisons": [{"data": data, "arms": list(arms), "title": "first"}],
    }
    return parse_figure("figure", table | more, catalogue())


def in_this_process(words: Sequence[str], log: Path) -> int:
    with contextlib.redirect_stdout(io.StringIO()), log.open("w") as file, contextlib.redirect_stderr(file):
        return main(list(words))
