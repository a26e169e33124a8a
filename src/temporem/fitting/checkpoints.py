"""Checkpoints: tensors as safetensors, the rest as JSON, written so that one of the two last always holds."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from temporem.errors import UserError
from temporem.files import replacing, write_json

__all__ = ["has_checkpoint", "load_checkpoint", "save_checkpoint", "taking_up"]

_REMEDY = "delete the folder of the run and start it anew, or restore the file from a copy."


def save_checkpoint(folder: Path, name: str, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write checkpoint `name`: tensors, and facts that JSON can hold.

    The old one of that name stays whole until the new one is.
    """
    file = f"{name}.{facts_digest(facts)}.safetensors"
    with replacing(folder / file) as temporary:
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, temporary)
    digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    write_json(folder / f"{name}.json", {"tensors": file, "sha256": digest, "facts": facts})
    for old in folder.glob(f"{name}.*.safetensors"):
        if old.name != file:
            old.unlink()


def has_checkpoint(folder: Path, name: str) -> bool:
    """Whether a checkpoint of that name was completed."""
    return (folder / f"{name}.json").is_file()


def load_checkpoint(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint: its tensors and its facts.

    Raises UserError where it is missing or damaged, be it by one bit.
    """
    path = folder / f"{name}.json"
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        file = folder / described["tensors"]
        expected, facts = described["sha256"], described["facts"]
        if file.name != f"{name}.{facts_digest(facts)}.safetensors":
            raise ValueError("its checksum differs")
        content = file.read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"the checkpoint {path} cannot be read ({error}): {_REMEDY}") from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise UserError(f"the checkpoint {file} is damaged (its checksum differs): {_REMEDY}")
    try:
        return load_file(file), facts
    except SafetensorError as error:
        raise UserError(f"the checkpoint {file} is damaged ({error}): {_REMEDY}") from error


@contextmanager
def taking_up(folder: Path, name: str) -> Iterator[None]:
    """Raise UserError where a whole checkpoint does not fit what is built in the block to take it up."""
    try:
        yield
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"the checkpoint {folder / name}.json is of another version of temporem ({reason}): "
            "go on with that version, or delete the folder of the run and start it anew."
        ) from error


def facts_digest(facts: dict[str, Any]) -> str:
    """A short name for the facts: it keeps checkpoints apart, and tells when the facts have changed."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
