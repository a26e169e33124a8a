"""Where a metadata file's image paths lie on this disk."""

from pathlib import Path

from temporem.errors import UserError

__all__ = ["find_stack"]


def find_stack(name: str, metadata: Path) -> Path:
    """Resolve an image path as written in a metadata file.

    Absolute paths stand as they are. Relative ones are looked for from the metadata file's folder, then from
    each folder above it (RELION and cryoSPARC write them relative to the project's root), then from the
    current folder.

    Raises UserError that lists the places tried.
    """
    folder = metadata.resolve().parent
    written = Path(name)
    places = (
        [written] if written.is_absolute() else [x / written for x in (folder, *folder.parents, Path.cwd())]
    )
    for place in dict.fromkeys(places):
        if place.is_file():
            return place
    tried = ", ".join(str(place) for place in dict.fromkeys(places))
    raise UserError(
        f"{metadata} names the stack {name}, which does not exist (tried {tried}); put it there, or correct "
        "its path."
    )
