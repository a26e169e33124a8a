"""Volumes of a run as files of volume programs: MRC series with a ChimeraX script, 4D MRC, OME-Zarr."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError
from temporem.files import write_text
from temporem.progress import progress
from temporem.reconstruction.contour import contour_level
from temporem.reconstruction.export.ome_zarr import write_ome_zarr
from temporem.reconstruction.export.rows import choose_rows
from temporem.reconstruction.run import Run
from temporem.reconstruction.uncertainty import voxel_deviations
from temporem.reconstruction.volume_file import write_volume, write_volume_stack

__all__ = ["SCRIPT", "VolumeFormat", "export_volumes", "write_volume_series"]

VolumeFormat = Literal["mrc", "mrc4d", "ome-zarr"]
SCRIPT = "play.cxc"
"""Plays the files beside it in ChimeraX."""


def export_volumes(
    run: Run,
    output: Path,
    movie: str | None = None,
    index_file: Path | None = None,
    form: VolumeFormat = "mrc",
    device: str = "cpu",
    sd: bool = False,
) -> list[Path]:
    """Write volumes into the folder `output` and return their files.

    They are a movie's frames in order of time, those of an index file (one image row, counted from 0, per
    line; repeats allowed), or every image of the run.

    - mrc: one file each, whose names sort in the order asked for; a movie's with `play.cxc` beside them.
    - mrc4d: all in `volumes.mrc`, an MRC2014 volume stack [t, z, y, x].
    - ome-zarr: all in `volumes.ome.zarr`, [t, z, y, x].

    With `sd` it is the standard deviation of every voxel instead (`uncertainty.voxel_deviations`), and the
    files are `sd_*.mrc`, `sd.mrc` or `sd.ome.zarr`.

    Raises UserError for an unknown movie, a bad index file, rows out of range, and a folder that holds such
    volumes already.
    """
    rows = choose_rows(run, movie, index_file)
    prefix, stem = ("sd", "sd") if sd else ("vol", "volumes")
    stack, zarr = f"{stem}.mrc", f"{stem}.ome.zarr"
    pattern = {"mrc": f"{prefix}_*.mrc", "mrc4d": stack, "ome-zarr": zarr}[form]
    if any(output.glob(pattern)):
        raise UserError(f"{output} already holds volumes ({pattern}): choose another folder.")
    with progress("Writing volumes", len(rows)) as advance:
        made = voxel_deviations(run, rows) if sd else (volume for _, volume in run.volumes(rows, device))
        volumes = _counted(made, advance)
        if form == "mrc":
            names = [f"{prefix}_{position:05d}_image_{row:06d}" for position, row in enumerate(rows)]
            return write_volume_series(
                output, names, volumes, run, None if sd else movie and f"movie {movie}"
            )
        if form == "mrc4d":
            write_volume_stack(output / stack, len(rows), volumes, run.pixel_size_in_angstroms)
            return [output / stack]
        shown = run.latents().set_index("image").loc[rows]
        write_ome_zarr(
            output / zarr,
            len(rows),
            volumes,
            run.pixel_size_in_angstroms,
            shown["time"].to_numpy(np.float64),
            run.config.get("time_unit", "frames"),
            {"images": rows, "movies": shown["movie"].tolist()},
        )
        return [output / zarr]


def _counted(
    volumes: Iterable[Float[Tensor, "n n n"]], advance: Callable[[int, str], None]
) -> Iterator[Float[Tensor, "n n n"]]:
    for volume in volumes:
        yield volume
        advance(1, "")


def write_volume_series(
    output: Path, names: Sequence[str], volumes: Iterable[Float[Tensor, "n n n"]], run: Run, title: str | None
) -> list[Path]:
    """Write one MRC file per volume; where they have a title, also a script that plays them.

    `play.cxc` opens the files in ChimeraX as a volume series and plays it at one contour level: the mean over
    the volumes of Otsu's threshold inside the run's solvent mask.
    """
    mask = run.mask()
    paths, levels = [], []
    try:
        for name, volume in zip(names, volumes, strict=True):
            paths.append(output / f"{name}.mrc")
            write_volume(paths[-1], volume, run.pixel_size_in_angstroms)
            levels.append(contour_level(volume, mask) if title is not None else 0.0)
    except BaseException:
        # Part of a series would stand in the way of the whole one.
        for path in paths:
            path.unlink(missing_ok=True)
        raise
    if title is not None:
        script = chimerax_script(title, [path.name for path in paths], float(np.mean(levels)))
        write_text(output / SCRIPT, script)
    return paths


def chimerax_script(title: str, names: Sequence[str], level: float) -> str:
    """Commands that open the files, which lie beside the script, as one volume series and play it to and
    fro."""
    lines = (
        f"# The series of {' '.join(title.split())}: open this file in ChimeraX",
        f"open {' '.join(names)} vseries true" if len(names) > 1 else f"open {names[0]}",
        f"volume #1 style surface step 1 level {level:.6g}",
        "view",
        *(["vseries play #1 loop true direction oscillate maxFrameRate 8"] if len(names) > 1 else []),
    )
    return "\n".join(lines) + "\n"
