"""cryoDRGN's poses.pkl and ctf.pkl, and its stacks that carry nothing else
(https://github.com/ml-struct-bio/cryodrgn).

Conventions. poses.pkl is (rotations, translations) or rotations alone: rotations (images, 3, 3) multiply row
vectors of frequency from the right, which makes them RELION's A; translations (images, 2) are RELION's
origins as a fraction of the box, so t = −translation · box · pixel size. ctf.pkl (images, 9) is box, pixel
size (Å), defocus U, V (Å), angle (degrees), voltage (kV), spherical aberration (mm), amplitude contrast,
phase shift (degrees), all as RELION means them.

Sign. cryoDRGN's CTF is the negative of RELION's for the same parameters, and by default it multiplies the
images by −1: the two cancel. So parameters carry over unchanged, images used with its default have RELION's
sign, and images used with `--uninvert-data` the opposite one, which preprocessing detects or is told, as for
any other format.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from temporem.errors import UserError
from temporem.movies.image_paths import find_stack
from temporem.movies.images import StackImages, open_stack
from temporem.movies.movie_columns import MovieAssignment
from temporem.movies.pickles import load_arrays
from temporem.movies.source import Poses, Source
from temporem.movies.table import existing_file, unusable
from temporem.physics.ctf import ContrastTransfer

__all__ = ["read_cryodrgn_ctf", "read_cryodrgn_poses", "read_stack_file"]


def read_stack_file(path: Path) -> Source:
    """Read one stack, or a .txt that lists stacks one per line; movies need a movie table.

    Raises UserError where a stack is missing or corrupt, or the list is empty.
    """
    if path.suffix.lower() == ".txt":
        try:
            lines = [line.strip() for line in existing_file(path).read_text(encoding="utf-8").splitlines()]
        except UnicodeDecodeError:
            raise UserError(f"{path} is not a text file; it should list stacks, one per line.") from None
        stacks = [open_stack(find_stack(line, path)) for line in lines if line]
        if not stacks:
            raise UserError(f"{path} lists no stacks; it should name one per line.")
    else:
        stacks = [open_stack(path)]
    return Source(str(path), StackImages.all_of(stacks), movies=lambda: _no_movies(path))


def read_cryodrgn_poses(
    path: Path, number_of_images: int, box_size: int, pixel_size_in_angstroms: float
) -> Poses:
    """Read poses.pkl.

    Raises UserError for another form, another number of images, matrices that are not rotations, and
    translations beyond the box, which cryoDRGN's oldest files give in pixels.
    """
    loaded = load_arrays(path)
    parts = loaded if isinstance(loaded, tuple | list) else (loaded,)
    if not 1 <= len(parts) <= 2:
        raise UserError(
            f"{path} holds {len(parts)} arrays; give cryoDRGN's poses, which are rotations, or rotations and "
            "translations."
        )
    rotation = _array(path, parts[0], "rotations", (number_of_images, 3, 3))
    error = np.abs(rotation @ rotation.swapaxes(-1, -2) - np.eye(3)).max(axis=(-2, -1))
    wrong = np.flatnonzero((error > 1e-3) | (np.linalg.det(rotation) < 0))
    if len(wrong):
        raise UserError(
            f"{path}: the matrix of image {wrong[0]} is not a rotation ({len(wrong)} of {len(rotation)} are "
            "not); give the file that cryoDRGN wrote."
        )
    if len(parts) == 1:
        return Poses(rotation, np.zeros((number_of_images, 2)), f"{path} (rotations; shifts are zero)")
    fraction = _array(path, parts[1], "translations", (number_of_images, 2))
    beyond = np.flatnonzero((np.abs(fraction) > 1).any(axis=-1))
    if len(beyond):
        raise UserError(
            f"{path}: the translation of image {beyond[0]} is {np.abs(fraction[beyond[0]]).max():g} boxes "
            "long; they must be fractions of the box, as cryodrgn parse_pose_star writes them."
        )
    # 0.0 minus, so that no shift is 0 and not −0.
    return Poses(rotation, 0.0 - fraction * box_size * pixel_size_in_angstroms, f"{path} (cryoDRGN)")


def read_cryodrgn_ctf(path: Path, number_of_images: int, box_size: int) -> tuple[ContrastTransfer, float]:
    """Read ctf.pkl: the CTF parameters, and the pixel size in Å of images of this box.

    A file for another box keeps the field of view, as cryoDRGN does for down-sampled images.

    Raises UserError for another form, another number of images, and pixel sizes or boxes that differ.
    """
    values = _array(path, load_arrays(path), "CTF parameters", (number_of_images, 9))
    edges = values[:, 0] * values[:, 1]
    if not np.allclose(edges, edges[0], rtol=1e-6):
        raise UserError(f"{path} gives images of different box or pixel size; resample them to one.")
    u, v, angle, voltage, aberration, contrast, phase = values[:, 2:].T
    columns = (u, v, np.deg2rad(angle), voltage, aberration, contrast, np.deg2rad(phase), np.zeros_like(u))
    ctf = ContrastTransfer(*(torch.from_numpy(column.astype(np.float32)) for column in columns))
    return ctf, float(edges[0]) / box_size


def _array(path: Path, value: object, words: str, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise UserError(f"{path} does not hold an array of {words}; give the file that cryoDRGN wrote.")
    if value.shape != shape:
        raise UserError(
            f"{path} has {words} of shape {value.shape} where {shape} is needed, one for each image; give "
            "the file made for these images."
        )
    wrong = unusable(value)
    if len(wrong):
        raise UserError(f"{path}: {words} of image {wrong[0]} are not finite numbers; correct them.")
    return value.astype(np.float64)


def _no_movies(path: Path) -> MovieAssignment:
    raise UserError(
        f"{path} does not say which movie an image belongs to; give a --movie-table, or, where each stack is "
        "one movie, their folder."
    )
