"""One pixel size from all that is said about it, never a guess."""

from collections.abc import Sequence

from temporem.errors import UserError
from temporem.movies.images import StackImages

__all__ = ["settle_pixel_size"]

TOLERANCE = 0.01


def settle_pixel_size(
    given: float | None, stated: Sequence[tuple[str, float]], images: StackImages
) -> tuple[float, str]:
    """Return the pixel size in Å and the words that say where it came from.

    `given` on the command line overrides; else what the metadata has `stated` (in words, and Å) and the image
    headers must agree within 1 %.

    Raises UserError where nothing states it, where statements disagree, and where one is not positive.
    """
    if given is not None:
        return given, "--pixel-size"
    headers = [
        (f"the header of {stack.path}", stack.pixel_size_in_angstroms)
        for stack in images.stacks
        if stack.pixel_size_in_angstroms is not None
    ]
    statements = [*stated, *headers]
    if not statements:
        raise UserError(
            f"{images.stacks[0].path} and its metadata do not say the pixel size; give it in Å with "
            "--pixel-size."
        )
    words, value = statements[0]
    for other_words, other in statements:
        if not other > 0:
            raise UserError(
                f"{other_words} gives a pixel size of {other:g} Å; give the right one with --pixel-size."
            )
        if abs(other - value) > TOLERANCE * value:
            raise UserError(
                f"the pixel size is {value:g} Å in {words} but {other:g} Å in {other_words}; say which with "
                "--pixel-size."
            )
    return value, words
