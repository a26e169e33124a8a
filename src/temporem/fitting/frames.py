"""The frames as the objective sees them: whitened, centred, in batches of whole movies."""

from collections.abc import Iterator, Sequence
from copy import copy

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int
from torch import Tensor

from temporem.files import read_ahead, room_for
from temporem.fitting.poses.found import Poses
from temporem.fitting.processes import ALONE, Processes
from temporem.model.batches import FrameBatch, MovieBatch
from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreparedFrames, translation_in_pixels
from temporem.movies.reading import require_poses
from temporem.physics.ctf import contrast_transfer_function
from temporem.physics.lattice import HalfDisc
from temporem.physics.shifts import phase_shift

__all__ = ["FrameStore"]

_ROWS_AT_ONCE = 256


class FrameStore:
    """All frames of a `MovieSet` after `prepare_frames`, read in batches onto a device.

    Coefficients and CTFs of many frames lie in temporary files (`files.room_for`), and only a batch at a time
    in memory. `processes` are those that a fit to them is shared out among.
    """

    def __init__(
        self,
        movies: MovieSet,
        prepared: PreparedFrames,
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        self.device, self.processes = device, processes
        self.lattice: HalfDisc = prepared.half_disc.to(device)
        self.pixel_size_in_angstroms = prepared.pixel_size_in_angstroms
        require_poses(movies)
        self._coefficients = torch.from_numpy(np.asarray(prepared.coefficients))
        self._in_files = [prepared.coefficients]
        self._rotation = torch.from_numpy(np.asarray(movies.rotation, dtype=np.float32))
        self._shift = torch.from_numpy(np.asarray(translation_in_pixels(movies, prepared), dtype=np.float32))
        shell = prepared.half_disc.shell
        # The window takes noise but no signal, and ties neighbouring coefficients: as much is known as from
        # independent coefficients with the noise there was before it.
        noise_variance = torch.from_numpy(prepared.noise_variance) / prepared.window_mean_square
        self.noise_variance = noise_variance
        self._precision = noise_variance[shell].rsqrt().to(device)
        frequency = prepared.half_disc.frequency / (
            prepared.half_disc.box_size * prepared.pixel_size_in_angstroms
        )
        self._transfer: Tensor | None = None
        if movies.contrast_transfer is not None:
            transfer = room_for(self._coefficients.shape, np.float32)
            self._transfer = torch.from_numpy(transfer)
            self._in_files.append(transfer)
            for rows in torch.split(torch.arange(len(movies)), _ROWS_AT_ONCE):
                self._transfer[rows] = contrast_transfer_function(movies.contrast_transfer[rows], frequency)
        self.movie_rows: list[npt.NDArray[np.integer]] = [rows for _, rows in movies.rows_by_movie()]
        self._rows = torch.arange(len(movies))
        self._time = np.asarray(movies.time, dtype=np.float64)
        self.usual_interval = _usual_interval(self._time, self.movie_rows)

    def __len__(self) -> int:
        return sum(map(len, self.movie_rows))

    def only(self, movies: Sequence[int]) -> "FrameStore":
        """A store of these movies alone, their rows counted anew; the unit of time stays that of all."""
        kept = np.sort(np.concatenate([self.movie_rows[index] for index in movies]))
        part = copy(self)
        part._rows = self._rows[kept]
        part.movie_rows = [np.searchsorted(kept, self.movie_rows[index]) for index in movies]
        return part

    @property
    def poses(self) -> Poses:
        """Of the rows, on the processor."""
        return Poses(self._rotation[self._rows], self._shift[self._rows])

    def posed(self, poses: Poses) -> "FrameStore":
        """The same frames at other poses."""
        part = copy(self)
        part._rotation, part._shift = self._rotation.clone(), self._shift.clone()
        part._rotation[self._rows] = poses.rotation.to(self._rotation)
        part._shift[self._rows] = poses.translation_in_pixels.to(self._shift)
        return part

    def on(self, device: torch.device) -> "FrameStore":
        """The same frames for another device to compute with."""
        part = copy(self)
        part.device, part.lattice = device, self.lattice.to(device)
        part._precision = self._precision.to(device)
        return part

    def unposed(self) -> "FrameStore":
        """The same frames as they are, neither turned nor centred."""
        count = len(self)
        return self.posed(Poses(torch.eye(3).expand(count, 3, 3), torch.zeros(count, 2)))

    def frames(self, rows: Int[Tensor, " frames"], count: int | None = None) -> FrameBatch:
        """Read frames; of each the leading `count` coefficients, or all."""
        rows = self._rows[rows.cpu()]
        precision = self._precision[:count]
        shift = self._shift[rows].to(self.device)
        # Read by the processor, whitened and centred where the fit computes.
        coefficients = self._coefficients[:, :count][rows].to(self.device)
        centred = phase_shift(self.lattice.frequency[:count], -shift, self.lattice.box_size)
        transfer = precision.expand(len(rows), -1)
        if self._transfer is not None:
            transfer = transfer * self._transfer[:, :count][rows].to(self.device)
        return FrameBatch(coefficients * centred * precision, transfer, self._rotation[rows].to(self.device))

    def movies(self, indices: Int[Tensor, " movies"]) -> MovieBatch:
        """Where the frames of these movies stand."""
        rows = [self.movie_rows[int(i)] for i in indices]
        length = max(map(len, rows))
        interval = torch.full((len(rows), length), torch.inf)
        mask = torch.zeros((len(rows), length), dtype=torch.bool)
        for i, x in enumerate(rows):
            mask[i, : len(x)] = True
            steps = np.diff(self._time[self._rows[x].numpy()]) / self.usual_interval
            interval[i, 1 : len(x)] = torch.from_numpy(steps).float()
        flat = torch.from_numpy(np.concatenate(rows).astype(np.int64))
        return MovieBatch(flat, interval.to(self.device), mask.to(self.device))

    def batches(self, frames_per_batch: int, generator: torch.Generator | None = None) -> list[list[int]]:
        """All movies once, in batches of at most so many frames, but of one movie at least.

        They come in random order with a generator, else in the order of the input.
        """
        count = len(self.movie_rows)
        order = torch.arange(count) if generator is None else torch.randperm(count, generator=generator)
        batches: list[list[int]] = [[]]
        frames = 0
        for index in order.tolist():
            length = len(self.movie_rows[index])
            if batches[-1] and frames + length > frames_per_batch:
                batches.append([])
                frames = 0
            batches[-1].append(index)
            frames += length
        return batches

    def epoch(
        self, frames_per_batch: int, generator: torch.Generator | None = None, count: int | None = None
    ) -> Iterator[MovieBatch]:
        """The `batches`; while one is computed with, the next is read from the disk.

        Of its frames the leading `count` coefficients are, or all.
        """
        batches = self.batches(frames_per_batch, generator)
        for batch, following in zip(batches, [*batches[1:], []], strict=True):
            self._read_ahead(following, count)
            yield self.movies(torch.tensor(batch))

    def _read_ahead(self, movies: Sequence[int], count: int | None) -> None:
        rows = [row for index in movies for row in self._rows[self.movie_rows[index]].tolist()]
        used = len(self.lattice) if count is None else count
        for array in self._in_files:
            read_ahead(array, rows, used * array.itemsize)

    def halves(self) -> Int[Tensor, " frames"]:
        """0 or 1 for each row, so that halves share no noise: movies take turns, or the frames of one."""
        half = torch.zeros(len(self), dtype=torch.long)
        for index, movie in enumerate(self.movie_rows):
            turn = torch.full((len(movie),), index) if len(self.movie_rows) > 1 else torch.arange(len(movie))
            half[torch.from_numpy(movie.astype(np.int64))] = turn % 2
        return half


def _usual_interval(time: npt.NDArray[np.float64], movie_rows: list[npt.NDArray[np.integer]]) -> float:
    """Median time between neighbouring frames; 1 where every movie has one frame."""
    steps = np.concatenate([np.diff(time[rows]) for rows in movie_rows])
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else 1.0
