"""`temporem fit`: an atomic model carried along a run's motion."""

import importlib.util
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from temporem.errors import UserError
from temporem.files import check_folder
from temporem.reconstruction.export import choose_rows
from temporem.reconstruction.motion import morph
from temporem.reconstruction.run import Run
from temporem.simulation.trajectories import write_dcd

__all__ = ["fit"]


def fit(
    run: Positional[Annotated[Path, arg(metavar="RUN")]],
    model: Positional[Annotated[Path, arg(metavar="MODEL")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="DIR")],
    movie: str | None = None,
    index_file: Path | None = None,
) -> None:
    """Carry an atomic model along the motion of a run: morph.cif, a model for each frame, and morph.dcd.

    Each atom follows the density around it; no force field is applied, so stretched bonds are reported and
    not mended.

    Args:
        run: Folder made by `temporem reconstruct`, of one moving density.
        model: PDB or mmCIF file, placed in one of the run's volumes (ChimeraX: fitmap, save relative to it).
        output: Folder to write into.
        movie: Take this movie's frames.
        index_file: Take these images: one row of the input, from 0, on each line.
    """
    check_folder(output)
    if not model.is_file():
        raise UserError(f"there is no file {model}: check the path.")
    if (output / "morph.cif").exists():
        raise UserError(f"{output} already holds a morph: choose another folder.")
    opened = Run.open(run)
    found = morph(opened, model, output, choose_rows(opened, movie, index_file))
    print(
        f"The model shows the state of image {found.image} best (correlation {found.correlation:.2f}); "
        f"docking moved it by {found.moved_in_angstroms:.2f} Å rms."
    )
    if found.astray:
        print(f"{found.astray} atoms have no place in the density that moves: they follow what is near them.")
    print(f"Bonds change by {found.bonds_changed_in_angstroms:.2f} Å rms over {len(found.positions)} frames.")
    print(f"The models are in {output / 'morph.cif'}")
    if importlib.util.find_spec("MDAnalysis") is not None:
        write_dcd(output / "morph.dcd", found.positions.numpy())
    else:
        print("For a DCD trajectory too, install MDAnalysis: pip install 'temporem[trajectories]'")
