"""The reference `pooled`: as many frames as the data set has, made anew, all of one state, back-projected.

What perfect use of every frame would give by back-projection. The frames have the poses, the CTFs and the
noise's variance of the data set's own, one by one, so that nothing differs but what they show and the noise's
draw; preprocessing, mask, padding and regulariser are the run's.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from temporem.errors import UserError
from temporem.evaluation.posed_frames import posed_frames
from temporem.evaluation.resampling import fourier_pad
from temporem.evaluation.scoring import Ledger, Scorer, Scores
from temporem.movies.preprocessing import prepare_frames
from temporem.physics.ctf import ContrastTransfer
from temporem.progress import progress
from temporem.reconstruction.backprojection import signal_power
from temporem.reconstruction.local_filter import local_wiener
from temporem.reconstruction.run import Run
from temporem.simulation.central_slice import oversampled_transform
from temporem.simulation.imaging import NoiseColour, clean_images, noise
from temporem.simulation.truth import Truth

__all__ = ["pooled_scores", "rows_along_the_path"]

STATES = 5
IMAGES_AT_ONCE = 32


class ImagesOfOneState:
    """The data set's images as they would be, had the molecule stood still; made when read.

    An image is the same each time it is read.
    """

    def __init__(
        self,
        truth: Truth,
        conformation: int,
        optics: ContrastTransfer | None,
        colour: NoiseColour,
        padding: int,
        seed: int,
    ) -> None:
        self.box_size = truth.box_size
        self._truth, self._optics, self._colour, self._padding = truth, optics, colour, padding
        self._transform = oversampled_transform(truth.conformation_volume(conformation))
        self._first_seed = seed * len(truth)

    def __len__(self) -> int:
        return len(self._truth)

    def read(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Images (rows, y, x)."""
        images = np.empty((len(rows), self.box_size, self.box_size), np.float32)
        pixel_size = self._truth.pixel_size_in_angstroms
        for start in range(0, len(rows), IMAGES_AT_ONCE):
            some = rows[start : start + IMAGES_AT_ONCE]
            clean = clean_images(
                self._transform,
                torch.from_numpy(self._truth.rotation[some]),
                torch.from_numpy(self._truth.translation_in_angstroms[some]) / pixel_size,
                None if self._optics is None else self._optics[torch.from_numpy(some)],
                pixel_size,
                self._padding,
            )
            images[start : start + len(some)] = (clean + self._noise(some)).numpy()
        return images

    def _noise(self, rows: npt.NDArray[np.integer]) -> torch.Tensor:
        generators = (torch.Generator().manual_seed(self._first_seed + int(row)) for row in rows)
        variance = self._truth.noise_variance
        return torch.cat([noise(1, self.box_size, variance, self._colour, x) for x in generators])


def pooled_scores(run: Run, truth: Truth, scorer: Scorer, seed: int = 0) -> Scores:
    """Score a back-projection for each of five states along the path, under an image that shows the state.

    Raises UserError where it is not known how the movies were made.
    """
    movies, preprocessing = run.movies()
    colour, padding = acquisition_beside(Path(run.configured("input")))
    # Simulated images are bright.
    preprocessing = dataclasses.replace(preprocessing, sign="bright")
    mask = run.mask()
    ledger = Ledger(scorer.masks)
    rows = rows_along_the_path(truth, STATES)
    with progress("Making frames of one state", len(rows) * len(truth)) as advance:
        for number, row in enumerate(rows):
            images = ImagesOfOneState(
                truth,
                int(truth.conformation[row]),
                movies.contrast_transfer,
                colour,
                padding,
                seed * STATES + number,
            )
            remade = dataclasses.replace(movies, images=images)
            prepared = prepare_frames(remade, preprocessing, advance)
            frames = posed_frames(remade, prepared, truth.rotation, truth.translation_in_angstroms)
            a, b = (frames.accumulate(np.arange(start, len(truth), 2)) for start in (0, 1))
            power = signal_power([(a, b)], len(prepared.noise_variance))
            volume = fourier_pad(local_wiener(a + b, power, torch.as_tensor(mask)), scorer.box_size)
            true = scorer.true_side(truth.conformation_volume(int(truth.conformation[row])))
            fsc = {name: scorer.fsc(volume, true, name) for name in scorer.masks}
            ledger.add(row, fsc, scorer.quality(volume, true))
    return ledger.scores()


def rows_along_the_path(truth: Truth, count: int) -> list[int]:
    """Images of at most `count` different conformations, evenly chosen in order of state, both ends among
    them."""
    state = truth.states["state"].to_numpy(np.float64)
    _, first = np.unique(truth.conformation, return_index=True)
    along = first[np.argsort(state[first], kind="stable")]
    chosen = np.linspace(0, len(along) - 1, min(count, len(along))).round().astype(int)
    return [int(row) for row in along[chosen]]


def acquisition_beside(movies: Path) -> tuple[NoiseColour, int]:
    """Colour of the noise and padding of the images, as `temporem simulate` noted them."""
    path = (movies if movies.is_dir() else movies.parent) / "simulation.json"
    try:
        options = json.loads(path.read_text(encoding="utf-8"))
        return options["noise"], int(options["microscope"]["padding"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"the pooled reference needs {path}, which cannot be read ({error}): reconstruct the movies from "
            "the folder that temporem simulate made."
        ) from None
