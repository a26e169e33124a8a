import gzip
import io
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest

from temporem.errors import UserError
from temporem.simulation.downloads import download_structure, is_pdb_id
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
        (urllib.error.HTTPError("", 404, "Not Found", Message(), None), "no entry 9zzz"),
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


def test_pdb_ids() -> None:
    assert is_pdb_id("4ZT0")
    assert not is_pdb_id("4ZT0.pdb")
    assert not is_pdb_id("abcd")
