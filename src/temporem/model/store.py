"""Generators as files: weights in safetensors, what they are built from in JSON."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from temporem.errors import UserError
from temporem.files import replacing, write_json
from temporem.model.anchor_generator import AnchorGenerator
from temporem.model.deformable_generator import DeformableGenerator
from temporem.model.fourier_generator import FourierGenerator
from temporem.model.generators import Generator

__all__ = ["KINDS", "build_generator", "load_generator", "save_generator"]

KINDS: dict[str, type[Generator]] = {
    "fourier": FourierGenerator,
    "deformable": DeformableGenerator,
    "anchors": AnchorGenerator,
}
"""Every kind of generator that files may hold, by the name it gives itself."""


def build_generator(description: dict[str, Any]) -> Generator:
    """A generator of that description (`Generator.describe`), its weights not yet set.

    Raises KeyError, TypeError or ValueError for what is no description.
    """
    kind = description["kind"]
    if kind not in KINDS:
        raise ValueError(f"unknown kind of generator {kind!r}")
    return KINDS[kind].from_description(description, build_generator)


def save_generator(directory: Path, generator: Generator) -> None:
    """Write `generator.safetensors` and `generator.json`."""
    with replacing(directory / "generator.safetensors") as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in generator.state_dict().items()}, temporary)
    write_json(directory / "generator.json", generator.describe())


def load_generator(directory: Path, device: torch.device) -> Generator:
    """Read a generator.

    Raises UserError where the files are missing or damaged.
    """
    try:
        description = json.loads((directory / "generator.json").read_text(encoding="utf-8"))
        generator = build_generator(description)
        generator.load_state_dict(load_file(directory / "generator.safetensors"))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"the model in {directory} is missing, damaged or of another version of temporem ({reason}): "
            "finish the run with --resume, or make it anew."
        ) from error
    return generator.to(device)
