"""`temporem volumes`: volumes of a run for other programs, and moving pictures of them."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from temporem.errors import UserError
from temporem.files import check_folder
from temporem.reconstruction.export import export_volumes
from temporem.reconstruction.run import Run
from temporem.reconstruction.uncertainty import fit_error
from temporem.report.molecule_film import write_film

__all__ = ["volumes"]


def volumes(
    run: Positional[Annotated[Path, arg(metavar="RUN")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="DIR")],
    movie: str | None = None,
    index_file: Path | None = None,
    format: Literal["mrc", "mrc4d", "ome-zarr", "gif", "mp4"] = "mrc",
    sd: FlagCreatePairsOff[bool] = False,
) -> None:
    """Write volumes of a run: protein positive, in the scale of the images.

    Args:
        run: Folder made by `temporem reconstruct`.
        output: Folder to write into.
        movie: Write this movie's series, and a script that plays it in ChimeraX.
        index_file: Write the volumes of these images: one row of the input, counted from 0, on each line.
        format: mrc: a file each; mrc4d: one MRC file [t, z, y, x]; ome-zarr: the same as OME-Zarr (needs the
            package zarr); gif, mp4: the moving surface as pictures (mp4 needs imageio-ffmpeg).
        sd: Write the standard deviation of every voxel instead of the volumes: from the uncertainty of the
            states and, once temporem halves was run, of the fit; then of volumes low-passed to where the
            halves agree.
    """
    check_folder(output)
    opened = Run.open(run)
    if sd and format in ("gif", "mp4"):
        raise UserError(f"--sd has no moving pictures: choose another --format than {format}.")
    if format == "gif" or format == "mp4":
        print(f"The film is {write_film(opened, output / f'film.{format}', movie, index_file)}")
    else:
        export_volumes(opened, output, movie, index_file, format, sd=sd)
        print(f"The volumes are in {output}")
        if not sd:
            return
        fit = fit_error(opened)
        if fit is None:
            print("They are of the states' uncertainty alone; after temporem halves, of the fit's too.")
        else:
            print(f"They are of volumes up to {fit.resolution_in_angstroms:.1f} Å, where the halves agree.")
