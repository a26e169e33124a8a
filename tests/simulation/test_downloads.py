import gzip
import io
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest

from temporem.errors import UserError
from temporem.simulation.downloads import download_structure, first_available, is_pdb_id
from temporem.simulation.structures import read_structure

CIF = gzip.compress(
    b"""data_1ABC
loop_
_atom_site.group_PDB
_atom_site.id
_atom_site.type_symbol
_atom_site.label_atom_id
_atom_site.label_alt_id
_atom_site.label_comp_id
_atom_site.label_asym_id
_atom_site.label_seq_id
_atom_site.Cartn_x
_atom_site.Cartn_y
_atom_site.Cartn_z
_atom_site.occupancy
_atom_site.B_iso_or_equiv
_atom_site.auth_seq_id
_atom_site.auth_asym_id
_atom_site.pdbx_PDB_model_num
ATOM 1 N N . GLY A 1 1.0 2.0 3.0 1.0 10.0 1 A 1
"""
)


NOT_FOUND = urllib.error.HTTPError("", 404, "Not Found", Message(), None)


class Server:
    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def __call__(self, address: str, timeout: float) -> io.BytesIO:
        self.asked.append(address)
        if isinstance(self.answer, Exception):
            raise self.answer
        return io.BytesIO(self.answer)


def test_an_entry_is_downloaded_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = Server(CIF)
    monkeypatch.setattr(urllib.request, "urlopen", server)
    for _ in range(2):
        structure = read_structure("1ABC", cache=tmp_path)
    assert structure.positions.tolist() == [[1, 2, 3]]
    assert server.asked == ["https://files.wwpdb.org/download/1abc.cif.gz"]


def test_a_changed_cache_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", Server(CIF))
    path = download_structure("1abc", tmp_path)
    path.write_bytes(CIF + b" ")
    with pytest.raises(UserError, match="has changed since it was downloaded"):
        download_structure("1abc", tmp_path)


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (urllib.error.URLError("no route to host"), "could not be downloaded.*no route to host.*connect"),
        (TimeoutError("timed out"), "could not be downloaded"),
        (NOT_FOUND, "no entry 9zzz"),
        (urllib.error.HTTPError("", 503, "Busy", Message(), None), "answered 503"),
    ],
)
def test_a_failed_download_is_one_sentence_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failure: Exception, sentence: str
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", Server(failure))
    with pytest.raises(UserError, match=sentence):
        download_structure("9zzz", tmp_path)
    assert list(tmp_path.iterdir()) == []


class Archive:
    """Entries that a server has; of all others it knows nothing, or it is out of reach."""

    def __init__(self, *entries: str, failure: Exception = NOT_FOUND) -> None:
        self.entries, self.failure = entries, failure
        self.asked: list[str] = []

    def __call__(self, address: str, timeout: float) -> io.BytesIO:
        self.asked.append(address.rpartition("/")[2].partition(".")[0])
        if self.asked[-1] not in self.entries:
            raise self.failure
        return io.BytesIO(CIF)


def test_of_several_entries_the_first_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = Archive("4cmq", "4cmp")
    monkeypatch.setattr(urllib.request, "urlopen", archive)
    assert first_available("4cmq 4cmp", tmp_path) == "4cmq"
    assert archive.asked == ["4cmq"]
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "Using PDB entry 4CMQ.\n"


@pytest.mark.parametrize("failure", [NOT_FOUND, urllib.error.URLError("no route to host")])
def test_the_stand_in_is_said_to_be_one_and_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], failure: Exception
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", Archive("4cmp", failure=failure))
    assert first_available("4cmq 4cmp", tmp_path) == "4cmp"
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("Using PDB entry 4CMP, which stands in for 4CMQ: ")
    assert ("has no entry 4cmq" if failure is NOT_FOUND else "no route to host") in said


def test_without_a_network_a_stand_in_of_before_serves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", Server(CIF))
    download_structure("4cmp", tmp_path)
    monkeypatch.setattr(urllib.request, "urlopen", Server(urllib.error.URLError("no route to host")))
    assert first_available("4cmq 4cmp", tmp_path) == "4cmp"


def test_where_no_entry_can_be_had_one_sentence_says_so_and_nothing_else_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = Archive(failure=urllib.error.URLError("no route to host"))
    monkeypatch.setattr(urllib.request, "urlopen", archive)
    with pytest.raises(UserError, match=r"4cmp could not be downloaded.*connect"):
        first_available("4cmq 4cmp", tmp_path)
    assert archive.asked == ["4cmq", "4cmp"]
    assert capsys.readouterr().err == ""


def test_a_changed_file_of_the_preferred_entry_is_no_reason_to_take_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", Server(CIF))
    download_structure("4cmq", tmp_path).write_bytes(b"other")
    with pytest.raises(UserError, match="has changed since it was downloaded"):
        first_available("4cmq 4cmp", tmp_path)


@pytest.mark.parametrize("source", ["4cmp", "my 4cmp.pdb", "structures/4CMP.pdb.gz", "4cmq 4cmp"])
def test_one_entry_and_files_are_left_as_they_are_without_a_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: pytest.fail("it was downloaded"))
    if source == "4cmq 4cmp":
        Path(source).touch()
    assert first_available(source, tmp_path / "cache") == source
    assert capsys.readouterr().err == ""


def test_pdb_ids() -> None:
    assert is_pdb_id("4ZT0")
    assert not is_pdb_id("4ZT0.pdb")
    assert not is_pdb_id("abcd")
