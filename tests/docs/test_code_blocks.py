"""What the documentation tells people to type is true: its commands exist, and its blocks run.

A page's blocks run one after the other in one folder, as its reader would, on simulations made small, of a
molecule that needs no network.
"""

import inspect
import os
import re
import shutil
import subprocess
import sys
from functools import wraps
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from pages import PAGES, ROOT, Block, blocks, inline_commands

from temporem.cli.main import VERBS, main

BLOCKS = blocks()
SMALL = "--movies 12 --frames 6 --box-size 24 --snr 1"
MIDDLE_IN_ANGSTROMS = 36.0
"""Of such a box, along each axis."""
SHELLS = [block for block in BLOCKS if block.kind == "sh"]
WALKED = sorted({block.page for block in BLOCKS if block.how == "run" and block.kind in ("sh", "python")})
NOT_WALKED = {
    # Its commands are those of the pages walked, its movies the reader's own.
    "README.md",
    # They say how their figures were made, which took hours.
    "benchmarks.md",
    "one_moving_density.md",
    "value_of_time.md",
    "defaults.md",
}


@pytest.fixture
def nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command takes its arguments, and does nothing."""
    for verb in VERBS:
        module = import_module(f"temporem.cli.{verb}")

        def idle(command):
            @wraps(command)
            def done(*_args, **_kwargs):
                return None

            done.__signature__ = inspect.signature(command)
            return done

        monkeypatch.setattr(module, verb, idle(getattr(module, verb)))


@pytest.mark.usefixtures("nothing_is_done")
@pytest.mark.parametrize("block", SHELLS, ids=str)
def test_every_command_of_a_block_can_be_called(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    for words in block.commands():
        assert main(words) == 0, f"{' '.join(words)}\n{capsys.readouterr().err}"


@pytest.mark.usefixtures("nothing_is_done")
def test_every_command_in_running_text_can_be_called(capsys: pytest.CaptureFixture[str]) -> None:
    for where, words in inline_commands():
        if len(words) == 1 or {"OPTIONS", "…", "COMMAND"} & set(words):
            assert words[0] in (*VERBS, "COMMAND", "--help"), where
            continue
        # In running text a command may leave out what is not the point.
        code, told = main(words), capsys.readouterr().err
        assert code == 0 or "Missing" in told, f"{where}\n{told}"


@pytest.mark.parametrize("block", [x for x in BLOCKS if x.kind == "python"], ids=str)
def test_python_blocks_are_python(block: Block) -> None:
    compile(block.code, str(block), "exec")


def test_every_block_says_what_it_is() -> None:
    assert {block.kind for block in BLOCKS} <= {"sh", "python"}
    assert {block.how for block in BLOCKS} <= {"run", "parse", "demo"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a reader has simulated movies and made a run of them."""
    pytest.importorskip("MDAnalysisTests")
    folder = tmp_path_factory.mktemp("reader")
    run_shell("temporem simulate adk --twin -o movies", folder)
    run_shell("temporem reconstruct movies/movies.star -o run --method linear", folder)
    # What readers bring of their own.
    run_shell("temporem simulate adk --twin -o new --seed 1", folder)
    (folder / "new_movies.star").symlink_to(folder / "new" / "movies.star")
    atoms = (
        Path(import_module("MDAnalysisTests.datafiles").PDB_small).read_text(encoding="utf-8").splitlines()
    )
    atoms = [line for line in atoms if line.startswith("ATOM")]
    at = np.array([[line[30:38], line[38:46], line[46:54]] for line in atoms], dtype=float)
    at += MIDDLE_IN_ANGSTROMS - at.mean(0)
    moved = [
        f"{line[:30]}{x:8.3f}{y:8.3f}{z:8.3f}{line[54:]}" for line, (x, y, z) in zip(atoms, at, strict=True)
    ]
    (folder / "model.pdb").write_text("\n".join([*moved, "END", ""]), encoding="utf-8")
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    return folder


def made_small(line: str) -> str:
    """A line of a block, its simulation made small; as it is where it has none."""
    if not line.startswith("temporem simulate"):
        return re.sub(r"--movie ID\b", "--movie \"$(awk -F, 'NR==2{print $2}' run/latents.csv)\"", line)
    words = line.split("#")[0].replace(" 7bcq ", " adk ")
    before, motion, after = words.partition(" telegraph ")
    return f"{before} {SMALL}{motion}{after}"


def run_shell(code: str, folder: Path) -> None:
    """Run a block, its simulations made small; the programs of this environment first on the path."""
    made = "\n".join(made_small(line) for line in code.splitlines())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", made],
        cwd=folder,
        env=os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{made}\n{done.stdout}\n{done.stderr}"


@pytest.mark.external
@pytest.mark.parametrize("page", [x for x in WALKED if x.name not in NOT_WALKED], ids=lambda x: x.name)
def test_a_page_can_be_walked_from_top_to_bottom(page: Path, small: Path, tmp_path: Path) -> None:
    own = [block for block in BLOCKS if block.page == page and block.how == "run"]
    for name in ("new_movies.star", "model.pdb", "benchmarks"):
        (tmp_path / name).symlink_to(small / name)
    if not any("-o movies" in block.code for block in own):
        # The movies themselves, and not a copy: a run knows where its movies are.
        (tmp_path / "movies").symlink_to(small / "movies")
        shutil.copytree(small / "run", tmp_path / "run")
    for python, part in (("sh", False), ("python", True)):
        mine = [block for block in own if block.kind == python]
        if part and mine:
            # One session, as a reader's.
            script = tmp_path / "session.py"
            script.write_text("\n".join(block.code for block in mine), encoding="utf-8")
            run_shell(f"{sys.executable} {script}", tmp_path)
        elif not part:
            for block in mine:
                run_shell(block.code, tmp_path)


def test_pages_walked_are_there() -> None:
    assert {page.name for page in PAGES} >= NOT_WALKED
    assert len(WALKED) > len(NOT_WALKED)
