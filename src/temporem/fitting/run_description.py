"""What a run folder says of its movies, and of how they were read and prepared."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from temporem import __version__
from temporem.fitting.frames import FrameStore
from temporem.model.devices import describe_device
from temporem.movies.digest import digest_of
from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreparedFrames, PreprocessingOptions
from temporem.movies.reading import ReadingOptions
from temporem.reconstruction.run import Run

__all__ = ["asked_of", "describe_run"]


def asked_of(path: Path, reading: ReadingOptions, preprocessing: PreprocessingOptions) -> dict[str, Any]:
    """What was asked for: entries of the configuration that a resumed run must repeat."""
    return {
        "input": str(path.resolve()),
        "reading": {name: _resolved(value) for name, value in asdict(reading).items()},
        "preprocessing": asdict(preprocessing),
    }


def describe_run(
    run: Run, movies: MovieSet, prepared: PreparedFrames, device: torch.device, store: FrameStore
) -> None:
    """Enter the command, the machine's part, and what was found of the images."""
    # A resumed run keeps the command that began it.
    command = run.config.get("command", sys.argv)
    run.update_config(
        temporem_version=__version__,
        command=command,
        device=describe_device(device),
        processes=store.processes.count,
        pixel_size_in_angstroms=prepared.pixel_size_in_angstroms,
        box_size=prepared.box_size,
        image_scale=prepared.image_scale,
        sign=prepared.sign,
        sign_note=prepared.sign_note,
        noise_variance=prepared.noise_variance.tolist(),
        frames=len(movies),
        movies=len(movies.movie_ids),
        input_digest=digest_of(movies),
        time_unit=movies.time_unit,
        usual_interval=store.usual_interval,
        provenance=movies.provenance,
    )


def _resolved(value: Any) -> Any:
    """A path as text that means the same from every folder; anything else as it is."""
    return str(value.resolve()) if isinstance(value, Path) else value
