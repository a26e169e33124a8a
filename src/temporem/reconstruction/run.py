"""The run folder: everything one reconstruction made, and its volumes on demand."""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError
from temporem.files import check_folder, check_makeable, replacing, write_json, write_text
from temporem.model.generators import Generator
from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import read_movies
from temporem.movies.reading_options import ReadingOptions
from temporem.reconstruction.latents_file import latent_columns, read_latents, write_latents
from temporem.reconstruction.volume_file import read_volume, write_volume

__all__ = ["CONFIG", "Run"]

CONFIG = "config.json"
"""The file that makes a folder a run."""
COVARIANCE = "covariance.npy"
VOLUMES_AT_ONCE = 4


@dataclass(frozen=True)
class Run:
    """A run folder.

    ```
    config.json       input, options, and what was found in the input; see `create`
    metrics.jsonl     one JSON object per record of the fit
    latents.csv       image, movie, frame, time, z1 …, sd1 …
    covariance.npy    of each frame's latents, float32, where the method tells it
    poses.star        RELION 3.1
    consensus.mrc     back-projection of all frames    mask.mrc  solvent mask
    model/            generator.safetensors, generator.json
    checkpoints/      to resume from
    ```
    """

    path: Path

    @classmethod
    def create(cls, path: Path, config: Mapping[str, Any]) -> "Run":
        """Make the folder with its configuration; paths and dataclasses in it become text and objects.

        What the rest reads of it: `input` (path of the movies), `reading` (ReadingOptions), `preprocessing`
        (PreprocessingOptions), `pixel_size_in_angstroms` (of the volumes), `image_scale` (gray values of
        the images given per unit of the generator's volumes).

        Raises UserError where the folder holds a run already, or something else.
        """
        cls.check_free(path)
        write_json(path / CONFIG, plain(config))
        return cls(path)

    @staticmethod
    def check_free(path: Path) -> None:
        """Raise UserError where a run cannot be made: the folder holds one already, or something else."""
        if (path / CONFIG).exists():
            raise UserError(
                f"{path} already holds a run: choose another folder, or continue it with --resume."
            )
        check_folder(path.parent)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UserError(f"{path} exists and is not an empty folder: choose another for the run.")
        check_makeable(path)

    @classmethod
    def open(cls, path: Path) -> "Run":
        """Open an existing run; raises UserError where there is none or its configuration is damaged."""
        run = cls(path)
        _ = run.config
        return run

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as written."""
        path = self.path / CONFIG
        if not path.is_file():
            raise UserError(
                f"{self.path} is not a run: it has no {CONFIG}; give a folder made by `temporem reconstruct`."
            )
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path} is damaged ({error}): make the run anew.") from error
        if not isinstance(config, dict):
            raise UserError(f"{path} is damaged (not a JSON object): make the run anew.")
        return config

    def update_config(self, **entries: Any) -> None:
        """Add to the configuration or replace entries of it."""
        write_json(self.path / CONFIG, self.config | plain(entries))

    def configured(self, name: str) -> Any:
        """One entry of the configuration; raises UserError where it is missing."""
        config = self.config
        if name not in config:
            raise UserError(
                f"{self.path / CONFIG} has no entry {name!r}: finish the run with --resume, or make it anew."
            )
        return config[name]

    def options(self) -> tuple[ReadingOptions, PreprocessingOptions]:
        """How the movies were read and prepared."""
        reading = dict(self.configured("reading"))
        for name in ("movie_table", "poses", "ctf"):
            if reading.get(name) is not None:
                reading[name] = Path(reading[name])
        try:
            return ReadingOptions(**reading), PreprocessingOptions(**self.configured("preprocessing"))
        except TypeError as error:
            raise UserError(
                f"{self.path / CONFIG} is of another version of temporem ({error}): make the run anew."
            ) from error

    def movies(self) -> tuple[MovieSet, PreprocessingOptions]:
        """The movies the run was made from, read anew, at the run's poses, and how they were prepared."""
        reading, preprocessing = self.options()
        if self.poses_found:
            reading = dataclasses.replace(reading, poses=self.poses_path)
        return read_movies(Path(self.configured("input")), reading), preprocessing

    @property
    def poses_found(self) -> bool:
        """Whether the run's poses are its own, and not those of its input."""
        return bool(self.config.get("poses", {}).get("kind", "given") != "given")

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add one record to the metrics; numbers that are not finite become null."""
        finite = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in record.items()
        }
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite, allow_nan=False) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """All records; the last is left out where a crash cut it short."""
        path = self.path / "metrics.jsonl"
        whole = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        try:
            return [json.loads(line) for line in whole]
        except ValueError as error:
            raise UserError(f"{path} is damaged ({error}): make the run anew.") from error

    def keep_metrics(self, count: int) -> None:
        """Drop all records but the first `count`: what a fit resumed from a checkpoint will write again."""
        records = self.metrics()[:count]
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in records))

    def write_latents(
        self,
        movies: MovieSet,
        mean: Float[Tensor, "frames latent"],
        sd: Float[Tensor, "frames latent"],
        covariance: Float[Tensor, "frames latent latent"] | None = None,
    ) -> None:
        """Write `latents.csv`: mean and marginal standard deviation of every frame, in the order of the
        input's rows; and their covariance, where it is known."""
        path = self.path / COVARIANCE
        if covariance is None:
            path.unlink(missing_ok=True)
        else:
            with replacing(path) as temporary:
                np.save(temporary, covariance.detach().cpu().float().numpy(), allow_pickle=False)
        write_latents(self.path / "latents.csv", movies, mean, sd)

    def latents(self) -> pd.DataFrame:
        """Columns image, movie (text), frame, time, z1 …, sd1 … (float32)."""
        path = self.path / "latents.csv"
        found = read_latents(path)
        frames = self.config.get("frames", len(found))
        if len(found) != frames:
            raise UserError(
                f"{path} has {len(found)} rows but the run {frames} frames: run `temporem reconstruct` with"
                " --resume."
            )
        return found

    def covariance(self) -> Float[Tensor, "frames latent latent"]:
        """Posterior covariance of each frame's latents, in the order of `latents`.

        Latents are taken to be independent where the method tells no more than their standard deviations.
        """
        latents = self.latents()
        sd = latents[[x.replace("z", "sd") for x in latent_columns(latents)]].to_numpy(np.float32)
        path = self.path / COVARIANCE
        if not path.exists():
            return torch.diag_embed(torch.from_numpy(sd**2))
        try:
            covariance = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({error}): make the run anew.") from error
        if covariance.shape != (*sd.shape, sd.shape[-1]):
            raise UserError(f"{path} does not belong to the run's latents: make the run anew.")
        return torch.from_numpy(covariance)

    def write_consensus(self, volume: Float[Tensor, "n n n"]) -> None:
        """Write the back-projection of all frames, in the scale of the images."""
        write_volume(self.path / "consensus.mrc", volume, self.pixel_size_in_angstroms)

    def consensus(self) -> Float[Tensor, "n n n"]:
        """Back-projection of all frames, in the scale of the images."""
        return read_volume(self.path / "consensus.mrc")

    def write_mask(self, mask: Float[Tensor, "n n n"]) -> None:
        """Write the solvent mask that all volumes of the run are given under."""
        write_volume(self.path / "mask.mrc", mask, self.pixel_size_in_angstroms)

    def mask(self) -> Float[Tensor, "n n n"]:
        """Solvent mask, 0 to 1."""
        return read_volume(self.path / "mask.mrc")

    @property
    def pixel_size_in_angstroms(self) -> float:
        """Of the volumes."""
        return float(self.configured("pixel_size_in_angstroms"))

    @property
    def poses_path(self) -> Path:
        """`poses.star`."""
        return self.path / "poses.star"

    @property
    def model_path(self) -> Path:
        """Folder of the generator."""
        return self.path / "model"

    @property
    def checkpoints_path(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    def generator(self, device: str = "cpu") -> Generator:
        """The fitted generator; raises UserError where it is damaged, or the device is not there."""
        from temporem.model.devices import choose_device
        from temporem.model.store import load_generator

        return load_generator(self.model_path, choose_device(device))

    def volumes(
        self, rows: Sequence[int] | npt.NDArray[np.integer], device: str = "cpu"
    ) -> Iterator[tuple[int, Float[Tensor, "n n n"]]]:
        """Each image row with its volume: at the latent's mean, masked, in the scale of the images, protein
        positive.

        Raises UserError for rows that the run does not have.
        """
        rows = [int(row) for row in rows]
        return zip(rows, self.volumes_at(self.states(rows), device), strict=True)

    def states(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> Float[Tensor, "rows latent"]:
        """Latent states of these image rows; raises UserError for rows that the run does not have."""
        latents = self.latents().set_index("image")
        rows = [int(row) for row in rows]
        for row in rows:
            if row not in latents.index:
                raise UserError(
                    f"the run {self.path} has no image {row}: its rows go from {latents.index.min()} to "
                    f"{latents.index.max()}."
                )
        return torch.from_numpy(latents.loc[rows, latent_columns(latents)].to_numpy(np.float32, copy=True))

    def volumes_at(
        self, z: Float[Tensor, "points latent"], device: str = "cpu"
    ) -> Iterator[Float[Tensor, "n n n"]]:
        """Volumes at these latent states: masked, in the scale of the images, protein positive."""
        scaled_mask = self.mask() * float(self.configured("image_scale"))
        generator = self.generator(device).eval()
        for some in torch.split(z, VOLUMES_AT_ONCE):
            with torch.no_grad():
                yield from generator.volumes(some.to(device)).cpu().float() * scaled_mask


def plain(value: Any) -> Any:
    """`value` with dataclasses as dictionaries, paths as text and tuples as lists: what JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({x.name: getattr(value, x.name) for x in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
