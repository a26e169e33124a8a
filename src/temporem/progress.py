"""One progress bar for all long work: what is being done, how far, and the time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["console", "progress"]

console = Console(stderr=True)


@contextmanager
def progress(task: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """Show a bar for `total` steps; the function given advances it by a count and sets the text behind it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bar:
        identifier = bar.add_task(task, total=total, note="")

        def advance(count: int, note: str = "") -> None:
            bar.update(identifier, advance=count, note=note)

        yield advance
