"""`temporem motion`: what moves, how far, and which parts move as one."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from temporem.errors import UserError
from temporem.files import check_folder
from temporem.reconstruction.export import choose_rows
from temporem.reconstruction.motion import write_motion
from temporem.reconstruction.run import Run
from temporem.seeds import check_seed

__all__ = ["motion"]


def motion(
    run: Positional[Annotated[Path, arg(metavar="RUN")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="DIR")],
    movie: str | None = None,
    index_file: Path | None = None,
    parts: int | None = None,
    seed: int = 0,
) -> None:
    """Describe the motion of a run of one moving density: arrows, amplitudes and rigid parts.

    Writes motion.cxc, which shows them in ChimeraX, arrows as BILD files, maps of the amplitude, of what
    appears and vanishes and of the parts, their turns and shifts as parts.csv, and all displacements as
    motion.npz.

    Args:
        run: Folder made by `temporem reconstruct`.
        output: Folder to write into.
        movie: Write displacements of this movie's frames.
        index_file: Write displacements of these images: one row of the input, from 0, on each line.
        parts: How many rigid parts; None takes the fewest that leave little of the motion unexplained.
        seed: Of the search for rigid parts.
    """
    check_folder(output)
    if parts is not None and parts < 1:
        raise UserError(f"--parts is {parts}: give 1 or more.")
    check_seed(seed)
    opened = Run.open(run)
    if (output / "motion.npz").exists():
        raise UserError(f"{output} already holds a motion: choose another folder.")
    found = write_motion(opened, output, choose_rows(opened, movie, index_file), parts, seed)
    print(
        f"Density is displaced by {found.amplitude_in_angstroms:.2f} Å rms over the states; displacements "
        f"written are from image {found.reference_image}, whose state is in the middle."
    )
    print(f"Of the density {found.appearing_share:.1%} appears and vanishes (see appearing.mrc).")
    segments = found.segments
    turns = segments.angle_in_degrees.max(0).values.tolist()
    left = segments.unexplained.square().mean(0).sqrt().tolist()
    for part, (turn, unexplained) in enumerate(zip(turns, left, strict=True), start=1):
        share = float((segments.label == part - 1).float().mean())
        print(
            f"Part {part}: {share:.0%} of the points"
            + (f", turns by up to {turn:.1f}° against part 1" if part > 1 else "")
            + f"; {unexplained:.2f} Å rms are not of a rigid body."
        )
    print(f"Open {output / 'motion.cxc'} in ChimeraX.")
