"""Generators as files: weights in safetensors, what they are built from in JSON."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from temporem.errors import UserError
from temporem.files import replacing, write_json
from temporem.model.anchor_generator import AnchorGenerator
from temporem.model.fourier_generator import FourierGenerator, FourierGeneratorConfig
from temporem.model.generators import Generator

__all__ = ["build_generator", "describe_generator", "load_generator", "save_generator"]


def describe_generator(generator: Generator) -> dict[str, Any]:
    """What `build_generator` needs to build one like it."""
    if isinstance(generator, FourierGenerator):
        base = None if generator.base is None else describe_generator(generator.base)
        return {"kind": "fourier", "config": asdict(generator.config), "base": base}
    if isinstance(generator, AnchorGenerator):
        return {
            "kind": "anchors",
            "box_size": generator.box_size,
            "latent_dim": generator.latent_dim,
            "count": len(generator.anchors),
        }
    raise TypeError(f"no way to describe a {type(generator).__name__}")


def build_generator(description: dict[str, Any]) -> Generator:
    """A generator of that description, its weights not yet set.

    Raises KeyError, TypeError or ValueError for what is no description.
    """
    if description["kind"] == "anchors":
        return AnchorGenerator(description["box_size"], description["latent_dim"], description["count"])
    if description["kind"] != "fourier":
        raise ValueError(f"unknown kind of generator {description['kind']!r}")
    base = None if description["base"] is None else build_generator(description["base"])
    config = FourierGeneratorConfig(**description["config"])
    return FourierGenerator(config, torch.Generator().manual_seed(0), base)


def save_generator(directory: Path, generator: Generator) -> None:
    """Write `generator.safetensors` and `generator.json`."""
    with replacing(directory / "generator.safetensors") as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in generator.state_dict().items()}, temporary)
    write_json(directory / "generator.json", describe_generator(generator))


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
            f"the model in {directory} is missing or damaged ({reason}): "
            "finish the run with --resume, or make it anew."
        ) from error
    return generator.to(device)
