"""What RELION's columns mean: images, pixel size, poses and CTF.

Convention (https://relion.readthedocs.io/en/latest/Reference/Conventions.html): Å and degrees; a point p of
the molecule lands at A(rot, tilt, psi)·p + t with `rlnOriginX/YAngst` = −t; RELION 3.0 gives origins in
pixels.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from temporem.errors import UserError
from temporem.movies.image_paths import find_stack
from temporem.movies.images import StackImages, open_stack
from temporem.movies.movie_columns import movies_from_columns
from temporem.movies.reading_options import ReadingOptions
from temporem.movies.source import Poses, Source
from temporem.movies.star import read_star
from temporem.movies.table import Table
from temporem.physics.ctf import ContrastTransfer
from temporem.physics.rotations import matrix_from_relion_angles

__all__ = [
    "IMAGE_NAME",
    "check_image_size",
    "read_relion",
    "relion_ctf",
    "relion_dose",
    "relion_pixel_size",
    "relion_poses",
    "split_image_name",
]

ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
IMAGE_NAME = "rlnImageName"
IMAGE_SIZE = "rlnImageSize"
DOSE = "rlnMicrographPreExposure"
DEFOCUS = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")
# Images that RELION has already changed by the CTF need another image model than ours.
CHANGED_BY_CTF = ("rlnCtfDataAreCtfPremultiplied", "rlnCtfDataArePhaseFlipped")
# What to do about a missing column.
EXPORT = "export the particles with it"
EXPORT_POSES = f"{EXPORT}, or give other poses with --pose-file"
# What our image model leaves out, and the value that makes it nothing.
LEFT_OUT = {
    "rlnBeamTiltX": 0.0,
    "rlnBeamTiltY": 0.0,
    "rlnMagMat00": 1.0,
    "rlnMagMat01": 0.0,
    "rlnMagMat10": 0.0,
    "rlnMagMat11": 1.0,
    "rlnCtfScalefactor": 1.0,
}


def read_relion(path: Path, options: ReadingOptions) -> Source:
    """Read a RELION particles STAR file, 3.0 or 3.1, each row one frame.

    Raises UserError where a needed column, a stack or an image is missing or contradicts another.
    """
    table = read_star(path)
    images = _images(table, path)
    check_image_size(table, images, options)
    return Source(
        words=str(path),
        images=images,
        movies=lambda: movies_from_columns(table, options),
        pixel_sizes=relion_pixel_size(table),
        poses=lambda pixel_size: relion_poses(table, pixel_size),
        contrast_transfer=relion_ctf(table),
        dose=relion_dose(table),
        notes=relion_notes(table),
    )


def split_image_name(name: str, where: str) -> tuple[int, str]:
    """Split RELION's `000001@stack.mrcs` into the slice, from 0, and the stack; a bare path is slice 0.

    Raises UserError for another form; `where` names the place in the message.
    """
    number, at, path = name.partition("@")
    if not at:
        return 0, name
    if not (number.isascii() and number.isdigit() and int(number[-18:]) >= 1) or not path:
        raise UserError(
            f"{where}: {name!r} is not an image name; write the image's number, from 1, and its stack, as in "
            "000001@stack.mrcs."
        )
    return int(number[-18:]) - 1, path


def _images(table: Table, metadata: Path) -> StackImages:
    index: dict[str, int] = {}
    written = table.text(IMAGE_NAME, EXPORT)
    names = [split_image_name(x, f"{table.source} row {i}") for i, x in enumerate(written)]
    stacks = [index.setdefault(path, len(index)) for _, path in names]
    opened = [open_stack(find_stack(path, metadata)) for path in index]
    for row, name in enumerate(written):
        count = opened[stacks[row]].shape[0]
        if "@" not in name and count > 1:
            raise UserError(
                f"{table.source} row {row}: {name!r} does not say which of that stack's {count} images is "
                "meant; write its number before it, as in 000001@stack.mrcs."
            )
    try:
        return StackImages(opened, np.array(stacks), np.array([number for number, _ in names]))
    except UserError as error:
        raise UserError(f"{table.source}: {error}") from None


def check_image_size(table: Table, images: StackImages, options: ReadingOptions) -> None:
    """Raise UserError where a table is about images of another box, whose pixels may be of another size.

    A pixel size among the options settles it.
    """
    if options.pixel_size is not None or IMAGE_SIZE not in table:
        return
    sizes = table.numbers(IMAGE_SIZE)
    wrong = sizes != images.box_size
    if wrong.any():
        raise UserError(
            f"{table.source} is about images of {sizes[wrong][0]:g} pixels ({IMAGE_SIZE}) but "
            f"{images.stacks[0].path} holds images of {images.box_size}; give the images it was written for, "
            "or the pixel size in Å of these with --pixel-size."
        )


def relion_pixel_size(table: Table) -> list[tuple[str, float]]:
    """What a table says of the pixel size of its images, in words and Å; empty where it says nothing.

    Raises UserError where rows differ.
    """
    for name in ("rlnImagePixelSize", "rlnPixelSize"):
        if name in table:
            return [(f"{table.source} ({name})", table.single_number(name))]
    if "rlnDetectorPixelSize" in table and "rlnMagnification" in table:
        magnification = table.single_number("rlnMagnification")
        if magnification <= 0:
            raise UserError(
                f"{table.source}, column rlnMagnification: {magnification:g} is not positive; correct it."
            )
        # The detector's pixel is in µm.
        value = table.single_number("rlnDetectorPixelSize") * 1e4 / magnification
        return [(f"{table.source} (rlnDetectorPixelSize / rlnMagnification)", value)]
    return []


def relion_poses(table: Table, pixel_size_in_angstroms: float) -> Poses | None:
    """Return the pose of each row; None where there are no angles.

    Raises UserError where some angles are missing.
    """
    if not any(name in table for name in ANGLES):
        return None
    angles = np.stack([table.numbers(name, EXPORT_POSES) for name in ANGLES], axis=-1)
    rotation = matrix_from_relion_angles(torch.from_numpy(np.deg2rad(angles))).numpy()
    for suffix, unit in (("Angst", 1.0), ("", pixel_size_in_angstroms)):
        names = [f"rlnOrigin{axis}{suffix}" for axis in "XY"]
        if any(name in table for name in names):
            origin = np.stack([table.numbers(name, EXPORT_POSES) for name in names], axis=-1) * unit
            # 0.0 minus, so that no shift is 0 and not −0.
            return Poses(rotation, 0.0 - origin, f"{table.source} (angles and {names[0]}, {names[1]})")
    return Poses(rotation, np.zeros((len(table), 2)), f"{table.source} (angles; no origins: shifts are zero)")


def relion_ctf(table: Table) -> ContrastTransfer | None:
    """Return the CTF parameters of each row; None where there is no defocus.

    `rlnPhaseShift` and `rlnCtfBfactor` are zero where absent, as in RELION.

    Raises UserError where another parameter is missing, or the images are already changed by the CTF.
    """
    for name in CHANGED_BY_CTF:
        if name in table and table.numbers(name).any():
            raise UserError(
                f"{table.source} says that the images are already multiplied or phase-flipped by the CTF "
                f"({name}); extract them without."
            )
    if not any(name in table for name in DEFOCUS):
        return None
    zero = np.zeros(len(table))
    columns = (
        table.numbers(DEFOCUS[0], EXPORT),
        table.numbers(DEFOCUS[1], EXPORT),
        np.deg2rad(table.numbers(DEFOCUS[2], EXPORT)),
        table.numbers("rlnVoltage", EXPORT),
        table.numbers("rlnSphericalAberration", EXPORT),
        table.numbers("rlnAmplitudeContrast", EXPORT),
        np.deg2rad(table.numbers("rlnPhaseShift")) if "rlnPhaseShift" in table else zero,
        table.numbers("rlnCtfBfactor") if "rlnCtfBfactor" in table else zero,
    )
    return ContrastTransfer(*(torch.from_numpy(x.astype(np.float32)) for x in columns))


def relion_dose(table: Table) -> npt.NDArray[np.float64] | None:
    """Electrons per square Å before each image, where the table has `rlnMicrographPreExposure`."""
    return table.numbers(DOSE) if DOSE in table else None


def relion_notes(table: Table) -> dict[str, str]:
    """Provenance of what the table holds and temporem leaves out."""
    ignored = [
        name for name, nothing in LEFT_OUT.items() if name in table and (table.numbers(name) != nothing).any()
    ]
    return {"ignored": ", ".join(ignored)} if ignored else {}
