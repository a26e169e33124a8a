"""Which row of a table belongs to which image."""

from pathlib import Path

from temporem.errors import UserError
from temporem.movies.images import StackImages
from temporem.movies.relion import IMAGE_NAME, split_image_name
from temporem.movies.table import Table

__all__ = ["match_rows", "stacks_passed_over"]


def match_rows(table: Table, images: StackImages) -> Table:
    """Put a table's rows in the order of the images.

    Rows are found by `rlnImageName`, whose folder counts only where two stacks have one name; without that
    column they are in the images' order already. Rows of other stacks are passed over.

    Raises UserError where an image has no row or two, a row asks for more images than a stack has, or the
    number of rows is wrong.
    """
    if IMAGE_NAME not in table:
        if len(table) != len(images):
            raise UserError(
                f"{table.source} has {len(table)} rows but there are {len(images)} images; give one row for "
                f"each, or name them in a column {IMAGE_NAME}."
            )
        return table
    stacks_of_name: dict[str, list[int]] = {}
    for index, stack in enumerate(images.stacks):
        stacks_of_name.setdefault(stack.path.name, []).append(index)
    row_of_image: dict[tuple[int, int], int] = {}
    for row, name in enumerate(table.text(IMAGE_NAME)):
        number, path = split_image_name(name, f"{table.source} row {row}")
        found = _which(Path(path), stacks_of_name.get(Path(path).name, []), images)
        if found is None:
            continue
        stack = images.stacks[found]
        if number >= stack.shape[0]:
            raise UserError(
                f"{table.source} row {row} asks for image {number + 1} of {stack.path}, which holds "
                f"{stack.shape[0]} (counted from 1): give the stack and the table that belong together."
            )
        if (found, number) in row_of_image:
            first = row_of_image[found, number]
            raise UserError(
                f"{table.source} has two rows, {first} and {row}, for one image, {name}; remove one of them."
            )
        row_of_image[found, number] = row
    wanted = zip(images.stack_of_row.tolist(), images.slice_of_row.tolist(), strict=True)
    rows = [row_of_image.get(image, -1) for image in wanted]
    if -1 in rows:
        missing = images.name(rows.index(-1))
        raise UserError(
            f"{table.source} has no row for image {missing} ({rows.count(-1)} of {len(rows)} are missing); "
            "give a table with a row for each image."
        )
    return Table(table.source, {name: [values[i] for i in rows] for name, values in table.columns.items()})


def stacks_passed_over(table: Table, images: StackImages) -> list[str]:
    """Names of the stacks that a table has rows for and the images do not hold, each once."""
    if IMAGE_NAME not in table:
        return []
    held = {stack.path.name for stack in images.stacks}
    named = dict.fromkeys(split_image_name(name, table.source)[1] for name in table.text(IMAGE_NAME))
    return [path for path in named if Path(path).name not in held]


def _which(path: Path, candidates: list[int], images: StackImages) -> int | None:
    if len(candidates) > 1:
        parts = [part for part in path.parts if part not in ("..", ".")]
        same = [i for i in candidates if images.stacks[i].path.resolve().parts[-len(parts) :] == tuple(parts)]
        if len(same) != 1:
            names = ", ".join(str(images.stacks[i].path) for i in candidates)
            raise UserError(f"the image name {path} may mean any of {names}; write more of its folder.")
        return same[0]
    return candidates[0] if candidates else None
