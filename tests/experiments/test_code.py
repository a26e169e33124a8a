from collections.abc import Callable
from pathlib import Path

import pytest

from temporem.experiments.code import digest_of


def package(folder: Path) -> Path:
    """A package with a computing room and a drawing one, and a cache of bytecode."""
    for name in ("files.py", "physics/ctf.py", "physics/report/ctf.py", "report/page.py", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def append(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text("changed")


def move(name: str, target: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).rename(folder / target)


@pytest.mark.parametrize(
    ("change", "other"),
    [
        (append("files.py"), True),
        (append("physics/ctf.py"), True),
        (append("physics/report/ctf.py"), True),
        (append("physics/new.py"), True),
        (move("files.py", "file.py"), True),
        (move("physics/ctf.py", "ctf.py"), True),
        (append("report/page.py"), False),
        (append("notes.txt"), False),
        (append("physics/ctf.pyc"), False),
    ],
)
def test_what_computes_tells_and_what_draws_does_not(
    tmp_path: Path, change: Callable[[Path], object], other: bool
) -> None:
    before = digest_of(package(tmp_path))
    assert digest_of(tmp_path) == before
    change(tmp_path)
    assert (digest_of(tmp_path) != before) == other
