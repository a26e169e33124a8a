import gzip
import io
import json
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import gemmi
import numpy as np
import pytest

from temporem.cli.main import main
from temporem.simulation.truth import Truth

SMALL = ["--path=morph", "--snapshots=5", "--movies=2", "--frames=3", "--box-size=16", "--method=gaussian"]


class WorldwidePDB:
    """Has a peptide under these ids, each with another first atom; it may be out of reach."""

    def __init__(self, peptide: Path, *entries: str, failure: Exception | None = None) -> None:
        self.peptide, self.entries = peptide, entries
        self.failure = failure or urllib.error.HTTPError("", 404, "Not Found", Message(), None)

    def __call__(self, address: str, timeout: float) -> io.BytesIO:
        pdb_id = address.rpartition("/")[2].partition(".")[0]
        if pdb_id not in self.entries:
            raise self.failure
        structure = gemmi.read_structure(str(self.peptide))
        structure[0][0][0][0].pos += gemmi.Position(0, 0, x_of(pdb_id))
        return io.BytesIO(gzip.compress(structure.make_mmcif_document().as_string().encode()))


def x_of(pdb_id: str) -> float:
    return {"4cmq": 0.25, "4cmp": 0.5, "4zt0": 1.0}[pdb_id]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def moved(truth: Truth, peptide: Path) -> float:
    """How far the first atom of the structure lies from where it is in the peptide, against the last one."""
    first, last = truth.structure.positions[[0, -1]]
    before = [atom.atom.pos.tolist() for atom in gemmi.read_structure(str(peptide))[0].all()]
    return float(np.linalg.norm((first - last) - np.subtract(before[0], before[-1])))


@pytest.mark.parametrize("had", ["4cmq", "4cmp"])
def test_cas9_begins_with_4cmq_or_else_with_the_stand_in_and_what_is_written_says_with_which(
    peptide: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    had: str,
) -> None:
    entries = {"4cmq", "4cmp", "4zt0"} if had == "4cmq" else {"4cmp", "4zt0"}
    monkeypatch.setattr(urllib.request, "urlopen", WorldwidePDB(peptide, *entries))
    assert main(["simulate", "cas9", "-o", str(tmp_path / "movies"), *SMALL]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "PDB entry" in line]
    assert len(said) == 1
    assert said[0].startswith(f"Using PDB entry {had.upper()}")
    assert ("stands in for 4CMQ" in said[0]) == (had == "4cmp")
    assert moved(Truth.load(tmp_path / "movies"), peptide) == pytest.approx(x_of(had), abs=1e-3)
    options = json.loads((tmp_path / "movies" / "simulation.json").read_text())
    assert (options["molecule"]["first"], options["molecule"]["last"]) == (had, "4zt0")
    assert f"From {had} to 4zt0 along" in (tmp_path / "movies" / "README.md").read_text()


def test_a_file_given_for_cas9_is_what_it_begins_with(
    peptide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", WorldwidePDB(peptide, "4cmq", "4cmp", "4zt0"))
    words = ["simulate", "cas9", "-o", str(tmp_path / "movies"), *SMALL, "--first", str(peptide)]
    assert main(words) == 0
    assert "4CM" not in capsys.readouterr().err
    assert moved(Truth.load(tmp_path / "movies"), peptide) == pytest.approx(0, abs=1e-3)
    options = json.loads((tmp_path / "movies" / "simulation.json").read_text())
    assert options["molecule"]["first"] == str(peptide)


def test_cas9_without_a_network_is_one_sentence_and_leaves_nothing(
    peptide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unreachable = WorldwidePDB(peptide, failure=urllib.error.URLError("no route to host"))
    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    assert main(["simulate", "cas9", "-o", str(tmp_path / "movies")]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "could not be downloaded" in sentence
    assert "give the path" in sentence
    assert list(tmp_path.iterdir()) == []


def test_the_help_names_both_structures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "cas9", "--help"]) == 0
    said = capsys.readouterr().out
    assert "4CMQ, or 4CMP" in said
    assert "4cmq 4cmp" in said
