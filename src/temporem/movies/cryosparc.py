"""cryoSPARC's .cs particles (https://guide.cryosparc.com): a numpy record array, one record per image.

Conventions, as in pyem's csparc2star.py (https://github.com/asarnow/pyem): `alignments3D/pose` is a rotation
vector whose matrix is the transpose of RELION's A; `alignments3D/shift` is RELION's origin in pixels of
`alignments3D/psize_A`, so t = −shift · pixel size; defocus in Å, angles in radians, `blob/idx` counted from
0, paths relative to the project.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial.transform import Rotation

from temporem.errors import UserError
from temporem.movies.image_paths import find_stack
from temporem.movies.images import StackImages, open_stack
from temporem.movies.movie_columns import movies_from_columns
from temporem.movies.reading_options import ReadingOptions
from temporem.movies.source import Poses, Source
from temporem.movies.table import Table, existing_file, reason, unusable
from temporem.physics.ctf import ContrastTransfer

__all__ = ["read_cryosparc", "with_poses"]

POSE, SHIFT, POSE_PIXEL_SIZE = "alignments3D/pose", "alignments3D/shift", "alignments3D/psize_A"
PATH, INDEX, PIXEL_SIZE = "blob/path", "blob/idx", "blob/psize_A"
# In the order of ContrastTransfer's fields.
CTF = ("df1_A", "df2_A", "df_angle_rad", "accel_kv", "cs_mm", "amp_contrast", "phase_shift_rad", "bfactor")
CTF_ZERO_WHERE_ABSENT = ("phase_shift_rad", "bfactor")

CORRECT = "correct it, or export the particles without that one"
"""What to do about a value that cannot be."""

Records = npt.NDArray[Any]


def read_cryosparc(path: Path, options: ReadingOptions) -> Source:
    """Read a .cs file of particles with their blobs.

    Movies come from a movie table, or from the field that `options.movie_column` names.

    Raises UserError where the file is not .cs, or a needed field, a stack or an image is missing.
    """
    records = _load(path)
    stated = (
        [(f"{path} ({PIXEL_SIZE})", _one_pixel_size(path, records))] if PIXEL_SIZE in _names(records) else []
    )
    return Source(
        words=str(path),
        images=_images(path, records),
        movies=lambda: movies_from_columns(_text(path, records, options), options),
        pixel_sizes=stated,
        poses=lambda pixel_size: _poses(path, records, pixel_size),
        contrast_transfer=_ctf(path, records),
    )


def _load(path: Path) -> Records:
    try:
        records = np.load(existing_file(path), allow_pickle=False)
    except Exception as error:  # np.load raises whatever a corrupt header leads it to
        raise UserError(
            f"{path} is not a .cs file: {reason(error)}; give one that cryoSPARC wrote."
        ) from None
    if (
        not isinstance(records, np.ndarray)
        or records.dtype.names is None
        or records.ndim != 1
        or not len(records)
    ):
        raise UserError(
            f"{path} is not a .cs file of particles: it holds no list of records; give a job's particles."
        )
    return records


def _names(records: Records) -> tuple[str, ...]:
    return records.dtype.names or ()


def _field(path: Path, records: Records, name: str, width: int | None = None) -> npt.NDArray[np.float64]:
    """One numeric field (records,) or (records, width), checked."""
    if name not in _names(records):
        raise UserError(f"{path} has no field {name}; export the particles from a job whose output has it.")
    values = records[name]
    if values.dtype.kind not in "fiu" or values.shape[1:] != (() if width is None else (width,)):
        raise UserError(
            f"{path}, field {name}: {values.shape[1:]} values of {values.dtype} are not what cryoSPARC "
            "writes; export the particles again."
        )
    wrong = unusable(values)
    if len(wrong):
        raise UserError(f"{path} record {wrong[0]}, field {name}: not a finite number; {CORRECT}.")
    return values.astype(np.float64)


def _positive(path: Path, records: Records, name: str) -> npt.NDArray[np.float64]:
    values = _field(path, records, name)
    if not (values > 0).all():
        row = int((values <= 0).argmax())
        raise UserError(f"{path} record {row}, field {name}: not a positive number; {CORRECT}.")
    return values


def _one_pixel_size(path: Path, records: Records) -> float:
    values = _positive(path, records, PIXEL_SIZE)
    if not np.allclose(values, values[0], rtol=1e-6, atol=0):
        raise UserError(
            f"{path}, field {PIXEL_SIZE}: from {values.min():g} to {values.max():g} Å; all images must share "
            "one value, with or without --pixel-size, so resample them to one, or split the file."
        )
    return float(values[0])


def _images(path: Path, records: Records) -> StackImages:
    slices = _field(path, records, INDEX)
    if PATH not in _names(records) or records[PATH].dtype.kind not in "SU" or records[PATH].ndim != 1:
        raise UserError(f"{path} has no field {PATH}; export the particles with their images (blobs).")
    written = [
        str(x.decode("utf-8", "replace") if isinstance(x, bytes) else x) for x in records[PATH].tolist()
    ]
    index: dict[str, int] = {}
    # cryoSPARC marks paths within the project with a leading ">".
    stack_of_row = [index.setdefault(name.removeprefix(">"), len(index)) for name in written]
    stacks = [open_stack(find_stack(name, path)) for name in index]
    try:
        return StackImages(stacks, np.array(stack_of_row), slices.astype(np.int64))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _poses(path: Path, records: Records, pixel_size_in_angstroms: float) -> Poses | None:
    if POSE not in _names(records):
        return None
    rotation = Rotation.from_rotvec(-_field(path, records, POSE, 3)).as_matrix()
    shift = _field(path, records, SHIFT, 2)
    if POSE_PIXEL_SIZE in _names(records) and PIXEL_SIZE in _names(records):
        # Alignments may have been made on down-sampled images.
        shift = (
            shift
            * (_positive(path, records, POSE_PIXEL_SIZE) / _positive(path, records, PIXEL_SIZE))[:, None]
        )
    # 0.0 minus, so that no shift is 0 and not −0.
    return Poses(rotation, 0.0 - shift * pixel_size_in_angstroms, f"{path} (alignments3D)")


def _ctf(path: Path, records: Records) -> ContrastTransfer | None:
    if "ctf/df1_A" not in _names(records):
        return None
    columns = [
        np.zeros(len(records))
        if name in CTF_ZERO_WHERE_ABSENT and f"ctf/{name}" not in _names(records)
        else _field(path, records, f"ctf/{name}")
        for name in CTF
    ]
    return ContrastTransfer(*(torch.from_numpy(column.astype(np.float32)) for column in columns))


def _text(path: Path, records: Records, options: ReadingOptions) -> Table:
    """The fields that the options name, as text."""
    wanted = {"--movie-column": options.movie_column, "--frame-column": options.frame_column}
    names = [name for name in wanted.values() if name in _names(records) and records[name].ndim == 1]
    for option, name in wanted.items():
        if name is not None and name not in names:
            raise UserError(
                f"{path} has no field {name} of one value per image; name another with {option} (it has "
                f"{', '.join(_names(records))})."
            )
    values = {name: records[name].tolist() for name in names if name is not None}
    text = {
        name: [x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x) for x in values[name]]
        for name in values
    }
    return Table(str(path), text)


def with_poses(
    records: Records,
    rotation: npt.NDArray[np.floating],
    translation_in_angstroms: npt.NDArray[np.floating],
    pixel_size_in_angstroms: float,
) -> Records:
    """The records at these poses (records, 3, 3) and (records, 2); the pixel size is that of the images."""
    own = records[PIXEL_SIZE] if PIXEL_SIZE in _names(records) else pixel_size_in_angstroms
    posed = {
        POSE: (np.float32, (3,), -Rotation.from_matrix(rotation).as_rotvec()),
        SHIFT: (np.float32, (2,), 0.0 - translation_in_angstroms / pixel_size_in_angstroms),
        POSE_PIXEL_SIZE: (np.float32, (), np.broadcast_to(own, len(records))),
    }
    kept = [x for x in records.dtype.descr if x[0] not in posed]
    fields = [*kept, *((name, kind, shape) for name, (kind, shape, _) in posed.items())]
    out = np.empty(len(records), dtype=fields)
    for name, *_ in kept:
        out[name] = records[name]
    for name, (_, _, values) in posed.items():
        out[name] = values
    return out
