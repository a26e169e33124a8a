"""The answer to simulated movies: every frame's state, pose and volume."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError
from temporem.files import replacing, write_json
from temporem.simulation.densities import DensityOptions, density
from temporem.simulation.structures import Structure, load_structure, save_structure

__all__ = ["Truth"]

FORMAT = 1
OCCUPANCY = "occupancy.npy"
CACHE_IN_BYTES = 2**28


@dataclass(frozen=True, eq=False)
class Truth:
    """What simulated movies were made from, in the order of their images; volumes are computed on demand.

    A volume depends on nothing but what the folder holds, so the same environment gives it bit for bit again.
    Volumes [z, y, x] are in the images' scale: plain sums along the beam give the image before the CTF.
    """

    states: pd.DataFrame
    """One row per image: `image`, `movie` (its id), `frame`, `time` (in frames), `state` in [0, 1],
    `category`, `value` (in `unit`) and `conformation`."""
    unit: str
    rotation: npt.NDArray[np.float32]
    """(images, 3, 3), a point p of the molecule landing at A p + t."""
    translation_in_angstroms: npt.NDArray[np.float32]
    """(images, 2), (x, y)."""
    structure: Structure
    positions: npt.NDArray[np.float32]
    """(conformations, atoms, 3) in Å, the origin at the voxel box_size // 2."""
    density: DensityOptions
    box_size: int
    pixel_size_in_angstroms: float
    snr: float
    """Variance of the clean images / variance of the noise, over all pixels of all images."""
    noise_variance: float
    occupancy: npt.NDArray[np.float32] | None = None
    """(conformations, atoms), how much of each atom there is; None where there is all of all."""
    _recent: dict[int, Tensor] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.states)

    @property
    def signal_variance(self) -> float:
        """Variance of the clean images, over all pixels of all images."""
        return self.snr * self.noise_variance

    @property
    def conformation(self) -> npt.NDArray[np.int64]:
        """(images,) which of `positions` each image shows."""
        return np.asarray(self.states["conformation"], np.int64)

    @property
    def number_of_conformations(self) -> int:
        """How many volumes differ."""
        return len(self.positions)

    def heavy_atoms(self, row: int) -> float:
        """How many atoms but hydrogens an image shows; of those there in part, the part."""
        heavy = self.structure.elements > 1
        if self.occupancy is None:
            return float(heavy.sum())
        return float(self.occupancy[self.conformation[row]][heavy].sum())

    def conformation_volume(self, conformation: int) -> Float[Tensor, "n n n"]:
        """One conformation's volume."""
        volume = self._recent.pop(conformation, None)
        if volume is None:
            volume = density(
                self.structure,
                np.asarray(self.positions[conformation]),
                self.box_size,
                self.pixel_size_in_angstroms,
                self.density,
                None if self.occupancy is None else np.asarray(self.occupancy[conformation]),
            )
        self._recent[conformation] = volume
        if len(self._recent) > max(1, CACHE_IN_BYTES // volume.nbytes):
            # The least recently used comes first.
            del self._recent[next(iter(self._recent))]
        return volume.clone()

    def volumes(self, rows: npt.NDArray[np.integer] | None = None) -> Iterator[Float[Tensor, "n n n"]]:
        """The volume of each of these images, or of all of them, one at a time."""
        conformations = self.conformation if rows is None else self.conformation[rows]
        return (self.conformation_volume(int(k)) for k in conformations)

    def volume(self, rows: npt.NDArray[np.integer]) -> Float[Tensor, "rows n n n"]:
        """The volumes of these images together."""
        return torch.stack(list(self.volumes(rows)))

    def save(self, folder: Path) -> None:
        """Write a folder that needs nothing outside it."""
        save_structure(folder / "structure.npz", self.structure)
        with replacing(folder / "positions.npy") as temporary:
            np.save(temporary, self.positions)
        if self.occupancy is not None:
            with replacing(folder / OCCUPANCY) as temporary:
                np.save(temporary, self.occupancy)
        with replacing(folder / "poses.npz") as temporary:
            np.savez(
                temporary, rotation=self.rotation, translation_in_angstroms=self.translation_in_angstroms
            )
        with replacing(folder / "states.csv") as temporary:
            self.states.to_csv(temporary, index=False)
        facts = ("unit", "box_size", "pixel_size_in_angstroms", "snr", "noise_variance")
        facts_and_density = {name: getattr(self, name) for name in facts} | {"density": asdict(self.density)}
        write_json(folder / "truth.json", {"format": FORMAT, **facts_and_density})

    @classmethod
    def load(cls, folder: Path) -> "Truth":
        """Open a truth folder, or the folder of movies that holds one as `truth`.

        Raises UserError where there is none, or a part of it is missing or damaged.
        """
        inner = folder / "truth"
        folder = inner if (inner / "truth.json").exists() else folder
        if not (folder / "truth.json").exists():
            raise UserError(
                f"{folder} holds no truth (no truth.json): give a folder that temporem simulate made."
            )
        try:
            facts: dict[str, Any] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
            if facts.pop("format") != FORMAT:
                raise UserError(
                    f"{folder} was written by another version of temporem: simulate the movies anew."
                )
            density_options = DensityOptions(**facts.pop("density"))
            with (folder / "poses.npz").open("rb") as file, np.load(file, allow_pickle=False) as poses:
                pose_arrays = {name: poses[name] for name in ("rotation", "translation_in_angstroms")}
            truth = cls(
                # Python's float reads back exactly what was written.
                states=pd.read_csv(
                    folder / "states.csv",
                    dtype={"movie": str},
                    converters=dict.fromkeys(("time", "state", "value"), float),
                ),
                structure=load_structure(folder / "structure.npz"),
                positions=_mapped(folder / "positions.npy"),
                occupancy=_mapped(folder / OCCUPANCY) if (folder / OCCUPANCY).exists() else None,
                density=density_options,
                **pose_arrays,
                **facts,
            )
            consistent = (
                len(truth) == len(truth.rotation) == len(truth.translation_in_angstroms)
                and truth.positions.shape[1:] == (len(truth.structure), 3)
                and (truth.occupancy is None or truth.occupancy.shape == truth.positions.shape[:2])
                and 0 <= truth.conformation.min() <= truth.conformation.max() < truth.number_of_conformations
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise UserError(
                f"the truth in {folder} is damaged ({error}): simulate the movies anew."
            ) from None
        if not consistent:
            raise UserError(
                f"the parts of the truth in {folder} do not belong together: simulate the movies anew."
            )
        return truth


def _mapped(path: Path) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
