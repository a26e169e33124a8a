"""Movies of a small moving molecule, on disk and in memory, whose states and volumes are known exactly."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.model.deformable_generator import DeformableGenerator, DeformableGeneratorConfig
from temporem.movies.images import StackImages, open_stack
from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreparedFrames
from temporem.movies.writing import write_movies_star, write_mrcs
from temporem.physics.ctf import ContrastTransfer, contrast_transfer_function
from temporem.physics.lattice import half_disc
from temporem.physics.rotations import random_rotations

PIXEL_SIZE = 6.0
SIGMA = 1.3
"""Of each Gaussian atom, in pixels."""


class Images:
    """Only the box counts: a `FrameStore` reads coefficients that were prepared before."""

    def __init__(self, box_size: int, count: int) -> None:
        self.box_size, self.count = box_size, count

    def __len__(self) -> int:
        return self.count

    def read(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        raise AssertionError("nothing is read")


@dataclass(frozen=True)
class Molecule:
    """A body, and an arm that turns with the state, or stands still and vanishes: Gaussian atoms."""

    box: int
    arm_vanishes: bool = False

    def positions(self, state: Tensor) -> Tensor:
        """(states, atoms, 3) in pixels from the centre; states in [0, 1]."""
        body = torch.tensor([[-2.0, 0, 0], [0, -2, 1], [0, 1, -2], [-1, 2, 2], [1, 1, 0]]) * self.box / 20
        angle = (0.5 + 0 * state if self.arm_vanishes else state) * math.pi / 1.5
        along = torch.tensor([3.0, 4.5, 6.0]) * self.box / 20
        arm = torch.stack((angle.cos(), angle.sin(), 0 * angle), -1)[:, None] * along[:, None]
        return torch.cat((body.expand(len(state), -1, -1), arm), dim=1)

    def weights(self, state: Tensor) -> Tensor:
        """(states, atoms)."""
        arm = 1 - state if self.arm_vanishes else torch.ones_like(state)
        return torch.cat((torch.ones(len(state), 5), arm[:, None].expand(-1, 3)), dim=1)

    def profile(self, position: Tensor) -> Tensor:
        axis = torch.arange(self.box) - self.box // 2
        profile = torch.exp(-((axis - position[..., None]) ** 2) / (2 * SIGMA**2))
        return profile / (SIGMA * math.sqrt(2 * math.pi))

    def volumes(self, state: Tensor) -> Tensor:
        """(states, n, n, n), [z, y, x]."""
        x, y, z = self.profile(self.positions(state)).unbind(2)
        return torch.einsum("sa,saz,say,sax->szyx", self.weights(state), z, y, x)

    def images(self, state: Tensor, rotation: Tensor, shift: Tensor) -> Tensor:
        """Projections (frames, n, n) without noise; `shift` in pixels."""
        turned = torch.einsum("fij,faj->fai", rotation, self.positions(state))
        x, y = (self.profile(turned[..., i] + shift[:, None, i]) for i in (0, 1))
        return torch.einsum("fa,fay,fax->fyx", self.weights(state), y, x)


def optics(frames: int, generator: torch.Generator) -> ContrastTransfer:
    defocus = 8_000 + 8_000 * torch.rand(frames, generator=generator)
    one = torch.ones(frames)
    return ContrastTransfer(defocus, defocus, 0 * one, 300 * one, 2.7 * one, 0.1 * one, 0 * one, 0 * one)


def swinging(movies: int, frames: int) -> Tensor:
    """States (movies, frames): there and back, from a phase of each movie's own."""
    phase = torch.linspace(0, 2 * math.pi, movies + 1)[:-1, None]
    return 0.5 + 0.5 * torch.sin(phase + torch.arange(frames) * 2 * math.pi / 8)


def write_movies(
    folder: Path,
    state: Tensor,
    box: int = 16,
    snr: float = 1.0,
    with_ctf: bool = True,
    with_poses: bool = True,
    seed: int = 0,
) -> Path:
    """Write movies with these states (movies, frames) and poses at random; return the STAR file."""
    generator = torch.Generator().manual_seed(seed)
    count = state.numel()
    rotation = random_rotations(count, generator).float()
    shift = 0.5 * torch.randn(count, 2, generator=generator)
    clean = Molecule(box).images(state.flatten(), rotation, shift)
    ctf = optics(count, generator) if with_ctf else None
    if ctf is not None:
        disc = half_disc(box)
        transfer = contrast_transfer_function(ctf, disc.frequency / (box * PIXEL_SIZE))
        clean = disc.to_images(disc.from_images(clean) * transfer)
    noise = torch.randn(clean.shape, generator=generator) * clean.std() / math.sqrt(snr)
    folder.mkdir(parents=True, exist_ok=True)
    write_mrcs(folder / "movies.mrcs", (clean + noise).numpy(), PIXEL_SIZE)
    rows = np.arange(count)
    movies = MovieSet(
        images=StackImages.all_of([open_stack(folder / "movies.mrcs")]),
        pixel_size_in_angstroms=PIXEL_SIZE,
        movie_ids=tuple(f"movie{i}" for i in range(len(state))),
        movie=rows // state.shape[1],
        frame=rows % state.shape[1],
        time=rows % state.shape[1] * 1.0,
        rotation=rotation.numpy() if with_poses else None,
        translation_in_angstroms=shift.numpy() * PIXEL_SIZE if with_poses else None,
        contrast_transfer=ctf,
    )
    write_movies_star(folder / "movies.star", movies, [f"{row + 1:06d}@movies.mrcs" for row in rows])
    return folder / "movies.star"


def store_of(
    images: Tensor,
    rotation: Tensor,
    movie: npt.NDArray[np.integer],
    time: npt.NDArray[np.floating],
    noise_variance: float | Tensor,
    shift: Tensor | None = None,
    contrast_transfer: ContrastTransfer | None = None,
) -> FrameStore:
    """A `FrameStore` of images (frames, n, n) whose noise is known, with nothing prepared or estimated."""
    count, box = images.shape[:2]
    disc = half_disc(box)
    variance = torch.as_tensor(noise_variance, dtype=torch.float32).expand(disc.radius + 1).clone()
    prepared = PreparedFrames(
        half_disc=disc,
        pixel_size_in_angstroms=PIXEL_SIZE,
        coefficients=disc.from_images(images).numpy(),
        noise_variance=variance.numpy(),
        window_mean_square=1.0,
        scale=np.ones(count, np.float32),
        offset=np.zeros(count, np.float32),
        sign=1,
        sign_note="",
        signal_power=np.ones(disc.radius + 1, np.float32),
        radius_in_angstroms=box * PIXEL_SIZE / 2,
    )
    shift = torch.zeros(count, 2) if shift is None else shift
    movies = MovieSet(
        images=Images(box, count),
        pixel_size_in_angstroms=PIXEL_SIZE,
        movie_ids=tuple(f"movie{i}" for i in range(int(movie.max()) + 1)),
        movie=movie,
        frame=time.astype(np.int64),
        time=time,
        rotation=rotation.numpy(),
        translation_in_angstroms=shift.numpy() * PIXEL_SIZE,
        contrast_transfer=contrast_transfer,
    )
    return FrameStore(movies, prepared, torch.device("cpu"))


def blob_store(
    state: Tensor, box: int = 16, snr: float = 1.0, seed: int = 0, arm_vanishes: bool = False
) -> FrameStore:
    """Movies of the molecule with these states (movies, frames), without CTF and shifts."""
    generator = torch.Generator().manual_seed(seed)
    rotation = random_rotations(state.numel(), generator).float()
    shift = torch.zeros(state.numel(), 2)
    clean = Molecule(box, arm_vanishes).images(state.flatten(), rotation, shift)
    sd = float(clean.std()) / math.sqrt(snr)
    images = clean + sd * torch.randn(clean.shape, generator=generator)
    rows = np.arange(state.numel())
    frames = state.shape[1]
    return store_of(images, rotation, rows // frames, rows % frames * 1.0, sd**2)


def silent(count: int, note: str) -> None:
    """Nobody is told of progress."""


def untold(loss: float) -> None:
    """Nobody is told of the likelihood."""


def rigid(box: int, latent_dim: int) -> DeformableGenerator:
    """The molecule in state 0.5, exactly, and a field that moves nothing."""
    config = DeformableGeneratorConfig(box, latent_dim, PIXEL_SIZE)
    generator = DeformableGenerator(config, torch.Generator().manual_seed(0))
    generator.place(Molecule(box).positions(torch.tensor([0.5]))[0], SIGMA)
    generator.amplitude = torch.ones(len(generator.points))
    for parameter in generator.field.where.parameters():
        torch.nn.init.zeros_(parameter)
    return generator.requires_grad_(False)
