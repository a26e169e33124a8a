"""RELION 3.1 STAR files of movies: one row per frame, optics groups apart."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from gemmi import cif

from temporem.files import write_text
from temporem.movies.images import StackImages
from temporem.movies.movie_columns import FRAME_COLUMN, TIME_COLUMN
from temporem.movies.movie_set import MovieSet
from temporem.movies.mrc import write_mrcs
from temporem.physics.rotations import relion_angles_from_matrix

__all__ = ["write_movies_star", "write_mrcs", "write_poses_star"]

Column = Sequence[str] | npt.NDArray[np.generic]


def write_movies_star(path: Path, movies: MovieSet, image_names: Sequence[str] | None) -> None:
    """Write movies as RELION 3.1 STAR, with the poses, CTF and dose they have.

    `image_names` are RELION's, `000001@stack.mrcs`, relative to the file's folder or absolute. A movie's id
    is `rlnTomoParticleName`, the frame number `rlnMicrographFrameNumber` as it is in `movies`, and times in
    seconds `temporemTimeSeconds`, which RELION does not know and passes over. Frames of the same voltage,
    spherical aberration and amplitude contrast share an optics group.
    """
    particles: dict[str, Column] = {} if image_names is None else {"rlnImageName": image_names}
    particles |= {
        "rlnTomoParticleName": [movies.movie_ids[i] for i in movies.movie],
        FRAME_COLUMN: movies.frame,
    }
    if movies.time_unit == "seconds":
        particles[TIME_COLUMN] = movies.time
    if movies.rotation is not None and movies.translation_in_angstroms is not None:
        particles |= _pose_columns(movies.rotation, movies.translation_in_angstroms)
    if movies.dose is not None:
        particles["rlnMicrographPreExposure"] = movies.dose
    optics_columns, group = _optics(movies)
    particles["rlnOpticsGroup"] = group
    if movies.contrast_transfer is not None:
        ctf = {name: value.double().numpy() for name, value in movies.contrast_transfer.tensors()}
        particles |= {
            "rlnDefocusU": ctf["defocus_u_in_angstroms"],
            "rlnDefocusV": ctf["defocus_v_in_angstroms"],
            "rlnDefocusAngle": np.rad2deg(ctf["defocus_angle"]),
            "rlnPhaseShift": np.rad2deg(ctf["phase_shift"]),
            "rlnCtfBfactor": ctf["b_factor_in_square_angstroms"],
        }
    write_text(
        path, "# version 30001\n\n" + _loop("optics", optics_columns) + "\n" + _loop("particles", particles)
    )


def write_poses_star(
    path: Path,
    movies: MovieSet,
    rotation: npt.NDArray[np.floating],
    translation_in_angstroms: npt.NDArray[np.floating],
) -> None:
    """Write `movies` with these rotations (frames, 3, 3) and translations (frames, 2) in Å.

    The columns are those of `write_movies_star`. Images in stacks on disk are named by their absolute paths;
    others are not, and rows keep their order.
    """
    images = movies.images
    names = [images.name(row) for row in range(len(movies))] if isinstance(images, StackImages) else None
    posed = replace(
        movies, rotation=np.asarray(rotation), translation_in_angstroms=np.asarray(translation_in_angstroms)
    )
    write_movies_star(path, posed, names)


def _pose_columns(
    rotation: npt.NDArray[np.floating], translation: npt.NDArray[np.floating]
) -> dict[str, Column]:
    angles = relion_angles_from_matrix(torch.from_numpy(np.array(rotation, dtype=np.float64))).numpy()
    degrees = np.rad2deg(angles)
    origin = 0.0 - translation
    return {
        "rlnAngleRot": degrees[:, 0],
        "rlnAngleTilt": degrees[:, 1],
        "rlnAnglePsi": degrees[:, 2],
        "rlnOriginXAngst": origin[:, 0],
        "rlnOriginYAngst": origin[:, 1],
    }


def _optics(movies: MovieSet) -> tuple[dict[str, Column], npt.NDArray[np.int64]]:
    """Columns of the optics table, and each frame's group, from 1."""
    microscope = np.zeros((len(movies), 0))
    if movies.contrast_transfer is not None:
        ctf = movies.contrast_transfer
        names = (ctf.voltage_in_kilovolts, ctf.spherical_aberration_in_millimetres, ctf.amplitude_contrast)
        microscope = torch.stack(names, dim=-1).numpy()
    values, group = np.unique(microscope, axis=0, return_inverse=True)
    count = len(values)
    columns: dict[str, Column] = {
        "rlnOpticsGroup": np.arange(1, count + 1),
        "rlnOpticsGroupName": [f"opticsGroup{i + 1}" for i in range(count)],
        "rlnImagePixelSize": np.full(count, movies.pixel_size_in_angstroms),
        "rlnImageSize": np.full(count, movies.images.box_size),
        "rlnImageDimensionality": np.full(count, 2),
    }
    for i, name in enumerate(
        ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")[: values.shape[1]]
    ):
        columns[name] = values[:, i]
    return columns, group.reshape(-1) + 1


def _loop(name: str, columns: dict[str, Column]) -> str:
    """One table, its numbers such that float32 comes back exact."""
    text = [[_word(x) for x in values] for values in columns.values()]
    head = [f"data_{name}", "", "loop_", *(f"_{column} #{i}" for i, column in enumerate(columns, 1))]
    return "\n".join([*head, *("\t".join(row) for row in zip(*text, strict=True)), ""]) + "\n"


def _word(value: str | np.generic) -> str:
    if isinstance(value, str):
        quoted = cif.quote(value)
        # Words with both kinds of quotes become text fields, which begin and end at the start of a line.
        return f"\n{quoted}\n" if quoted.startswith(";") else quoted
    return f"{value:.9g}" if isinstance(value, np.floating) else str(value)
