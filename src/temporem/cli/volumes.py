"""`temporem volumes`: volumes of a run as MRC files."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from temporem.reconstruction.export import export_volumes
from temporem.reconstruction.run import Run

__all__ = ["volumes"]


def volumes(
    run: Positional[Annotated[Path, arg(metavar="RUN")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="DIR")],
    movie: str | None = None,
    index_file: Path | None = None,
    format: Literal["mrc"] = "mrc",
) -> None:
    """Write volumes of a run as MRC files: protein positive, in the scale of the images.

    Args:
        run: Folder made by `temporem reconstruct`.
        output: Folder to write into.
        movie: Write this movie's series, and a script that plays it in ChimeraX.
        index_file: Write the volumes of these images: one row of the input, counted from 0, on each line.
        format: File format.
    """
    export_volumes(Run.open(run), output, movie=movie, index_file=index_file)
    print(f"The volumes are in {output}")
