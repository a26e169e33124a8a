"""The movie that a report shows: some of its frames, their volumes, and from where they are seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.reconstruction.contour import contour_level
from temporem.reconstruction.latents_file import latent_columns
from temporem.reconstruction.run import Run
from temporem.report.run_facts import evenly_spaced, most_telling_movie
from temporem.report.scene import Scene, scene_of

__all__ = ["ShownMovie", "shown_movie"]

FRAMES_SHOWN = 12


@dataclass(frozen=True, eq=False)
class ShownMovie:
    """Frames in order of time with their volumes; one level and one scene for all."""

    movie: str
    frames: pd.DataFrame
    """Their rows of the latents."""
    frames_in_movie: int
    """Of which `frames` are all, or some evenly spaced."""
    time_unit: str
    volumes: Sequence[Float[Tensor, "n n n"]]
    mask: Float[Tensor, "n n n"]
    level: float
    scene: Scene

    @property
    def labels(self) -> list[str]:
        """Each frame's number, with its time where the run knows more than the frames' order."""
        numbers = [f"frame {frame}" for frame in self.frames["frame"]]
        if self.time_unit == "frames":
            return numbers
        times = self.frames["time"]
        return [f"{x}, {time:.4g} {self.time_unit}" for x, time in zip(numbers, times, strict=True)]

    def some(self, most: int) -> list[int]:
        """Positions of at most so many of the frames, evenly spaced."""
        return evenly_spaced(len(self.frames), most)


def shown_movie(run: Run, latents: pd.DataFrame) -> ShownMovie:
    """The movie whose latents travel farthest; level: the mean of Otsu's thresholds inside the mask."""
    movie = most_telling_movie(latents)
    of_movie = latents[latents["movie"] == movie].sort_values("time", kind="stable")
    frames = of_movie.iloc[evenly_spaced(len(of_movie), FRAMES_SHOWN)]
    volumes = [volume for _, volume in run.volumes(frames["image"].tolist())]
    z = torch.tensor(frames[latent_columns(latents)].to_numpy())
    # The two frames shown whose latents lie farthest apart say from where to look.
    first, last = divmod(int(torch.cdist(z, z).argmax()), len(z))
    mask = run.mask()
    level = sum(contour_level(x, mask) for x in volumes) / len(volumes)
    scene = scene_of(volumes[first], volumes[last], [x - level for x in volumes])
    unit = str(run.config.get("time_unit", "frames"))
    return ShownMovie(movie, frames, len(of_movie), unit, volumes, mask, level, scene)
