"""From the words of a command line to a call of a command: what is not understood becomes one sentence."""

import io
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from functools import partial, wraps
from typing import Any

import tyro

from temporem.errors import UserError

__all__ = ["understood"]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_MISSING, _PERHAPS = "Missing from", "Perhaps you meant:"


def understood(command: Callable[..., None], words: Sequence[str], program: str) -> Callable[[], None]:
    """The call that the words ask for, not yet made.

    Raises UserError for words that the command does not take; SystemExit where they ask for help, which is
    printed.
    """

    @wraps(command)
    def called(*arguments: Any, **options: Any) -> Callable[[], None]:
        return partial(command, *arguments, **options)

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            call: Callable[[], None] = tyro.cli(called, args=words, prog=program)
    except SystemExit as exit_:
        if not exit_.code:
            raise
        raise UserError(f"{_sentence(said.getvalue())}; {program} --help shows what it takes.") from None
    return call


def _sentence(box: str) -> str:
    """What the parser has written into a box, without the help that it repeats there."""
    lines = [line[2:-1].rstrip() for line in _COLOUR.sub("", box).splitlines()[1:-1]]
    parts = "\n".join("" if line.strip(" ─-") == "" else line for line in lines).split("\n\n")
    first = parts[0].splitlines() or ["the words of the command are not understood"]
    if first[0].startswith(_MISSING):
        # Names stand four columns in, and what they mean eight.
        names = [line.strip() for line in first[1:] if re.match(r" {4}\S", line)]
        return f"{first[0].rstrip(':')}: {'; '.join(names)}"
    told = " ".join(line.strip() for line in first).rstrip(".")
    near = [part.splitlines()[1].strip() for part in parts[1:] if part.startswith(_PERHAPS)]
    return f"{told} (perhaps you meant {near[0]})" if near else told
