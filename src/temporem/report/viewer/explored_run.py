"""A run as the viewer asks for it: a map of its latents, volumes at places on it, and what is saved."""

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError
from temporem.evaluation.null import noted_name
from temporem.reconstruction.contour import contour_level
from temporem.reconstruction.export import export_particles, write_volume_series
from temporem.reconstruction.latents_file import latent_columns
from temporem.reconstruction.run import Run
from temporem.report.run_facts import evenly_spaced, most_telling_movie, time_label
from temporem.report.scene import scene_of
from temporem.report.volume_bytes import ByteScale

__all__ = ["ExploredRun"]

NEIGHBOURS = 10
KEPT = 400
NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
SAVED = "viewer"
"""Folder in the run that holds what was saved."""


class ExploredRun:
    """A run whose last few hundred volumes are kept.

    The map is the plane of the latents' two principal axes. A place on it stands for the latent state there
    whose other coordinates are those of the nearest frames, so that states stay where frames are.

    Raises UserError where the run is not finished.
    """

    def __init__(self, run: Run, device: str = "cpu") -> None:
        self.run, self.device = run, device
        self.latents = run.latents().sort_values("image").reset_index(drop=True)
        self.z = self.latents[latent_columns(self.latents)].to_numpy(np.float64)
        self.mean = self.z.mean(axis=0)
        _, spread, axes = np.linalg.svd(self.z - self.mean, full_matrices=False)
        self.axes = axes[:2]
        self.share = (spread**2 / max(float((spread**2).sum()), 1e-300))[:2]
        self.places = (self.z - self.mean) @ self.axes.T
        if len(self.axes) == 1:
            # One latent: the map's second axis is time, and stands for nothing in the latent space.
            time = self.latents["time"].to_numpy(np.float64)
            self.axes = np.vstack((self.axes, np.zeros(1)))
            self.places = np.column_stack((self.places, time - time.mean()))
            self.share = np.append(self.share, 0.0)
        self.lock = threading.Lock()
        self.kept: OrderedDict[bytes, npt.NDArray[np.uint8]] = OrderedDict()
        self.movie = most_telling_movie(self.latents)
        self._look()

    def _look(self) -> None:
        """Find the level, the side to look from and how near, from the two ends of the most telling movie."""
        rows = self._rows_of(self.movie)
        ends = [rows[i] for i in evenly_spaced(len(rows), 2)]
        volumes = [self.volume(self.z[row]) for row in ends]
        mask = self.run.mask()
        self.level = float(np.mean([contour_level(x, mask) for x in volumes]))
        self.scale = ByteScale.of(mask, self.level)
        self.scene = scene_of(volumes[0], volumes[-1], [x - self.level for x in volumes])

    def _rows_of(self, movie: str) -> list[int]:
        of_movie = self.latents[self.latents["movie"] == movie].sort_values("time", kind="stable")
        return [int(row) for row in of_movie.index]

    def told(self) -> dict[str, Any]:
        """What the page needs to know: the map, the movies in order of time, and how to look."""
        movies = {movie: self._rows_of(movie) for movie in self.latents["movie"].unique()}
        names = [
            f"{axis} axis ({share:.0%} of the variance)"
            for axis, share in zip(("first", "second"), self.share, strict=True)
        ]
        if self.z.shape[1] == 1:
            names[1] = time_label(self.run.config)
        return {
            "name": noted_name(self.run),
            "images": self.latents["image"].tolist(),
            "frame": self.latents["frame"].tolist(),
            "time": self.latents["time"].tolist(),
            "time_label": time_label(self.run.config),
            "places": self.places.round(5).tolist(),
            "axes": names,
            "movies": movies,
            "movie": self.movie,
            "box": self.scale.box,
            "level": self.scale.share(self.level),
            "highest": self.scale.highest,
            "view": self.scene.view.flatten().tolist(),
            "zoom": self.scene.zoom * self.scale.half_box / (len(self.run.mask()) / 2),
        }

    def state_at(self, place: Sequence[float]) -> npt.NDArray[np.float64]:
        """The latent state (latent,) that a place on the map stands for."""
        away = ((self.places - np.asarray(place)) ** 2).sum(axis=1)
        near = np.argsort(away, kind="stable")[:NEIGHBOURS]
        weight = np.exp(-away[near] / max(2 * float(np.median(away[near])), 1e-30))
        around = weight @ self.z[near] / weight.sum() - self.mean
        in_plane = self.axes.T @ (self.axes @ around)
        state = self.mean + around - in_plane + self.axes.T @ np.asarray(place)
        return np.asarray(state, np.float64)

    def bytes_at(self, state: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
        """The volume at a latent state as bytes, kept for the next time."""
        key = state.astype(np.float32).tobytes()
        if key not in self.kept:
            self.kept[key] = self.scale.bytes_of(self.volume(state))
            if len(self.kept) > KEPT:
                self.kept.popitem(last=False)
        return self.kept[key]

    def volume(self, state: npt.NDArray[np.float64]) -> Float[Tensor, "n n n"]:
        """The volume at a latent state."""
        z = torch.from_numpy(state.astype(np.float32))[None]
        # The processor is one for all requests: two volumes at a time take twice as long each.
        with self.lock:
            return next(self.run.volumes_at(z, self.device))

    def save_path(self, places: Sequence[Sequence[float]], name: str) -> Path:
        """Write the volumes at these places as an MRC series that ChimeraX plays; return its folder."""
        folder = self._free_folder(name)
        states = [self.state_at(place) for place in places]
        names = [f"vol_{i:05d}" for i in range(len(states))]
        write_volume_series(folder, names, map(self.volume, states), self.run, f"path {name}")
        return folder

    def save_selection(self, images: Sequence[int], name: str) -> Path:
        """Write these images as STAR, CSV and rows; return their folder."""
        if not images:
            raise UserError("no frame is selected: draw around some first.")
        folder = self._free_folder(name)
        export_particles(self.run, folder, sorted(set(images)))
        return folder

    def _free_folder(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise UserError(f"{name[:40]!r} cannot be a name: use up to 40 letters, digits, - and _.")
        folder = self.run.path / SAVED / name
        if folder.exists():
            raise UserError(f"{folder} is already there: choose another name.")
        return folder
