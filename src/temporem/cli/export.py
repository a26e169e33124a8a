"""`temporem export`: latents and selected frames for other programs."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from temporem.files import check_folder
from temporem.reconstruction.export import export_particles, select_rows
from temporem.reconstruction.run import Run

__all__ = ["export"]


def export(
    run: Positional[Annotated[Path, arg(metavar="RUN")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="DIR")],
    movie: tuple[str, ...] = (),
    index_file: Path | None = None,
    latent: Annotated[tuple[tuple[str, float, float], ...], arg(metavar="[NAME LOW HIGH …]")] = (),
) -> None:
    """Write selected frames with their latents, as files that point at the original particles.

    particles.star for RELION, cryoSPARC (Import Particles) and cryoDRGN (parse_pose_star, parse_ctf_star,
    train_vae); particles.cs too where the run was made from one; latents.csv; rows.txt, the rows of the input
    from 0.

    Args:
        run: Folder made by `temporem reconstruct`.
        output: Folder to write into.
        movie: Only frames of these movies.
        index_file: Only these images: one row of the input, counted from 0, on each line.
        latent: Only frames whose latents lie between bounds, as in `--latent z1 0.2 0.7 z2 -1 1`.
    """
    check_folder(output)
    opened = Run.open(run)
    rows = select_rows(opened, movie, index_file, latent)
    export_particles(opened, output, rows)
    print(f"{len(rows)} of {len(opened.latents())} images are in {output / 'particles.star'}")
