import errno
from pathlib import Path

import pytest

from temporem.cli.failures import explain
from temporem.errors import UserError


def test_what_the_person_can_mend_keeps_its_sentence() -> None:
    assert explain(UserError("the column\nis missing")) == ("the column is missing", 2)


def test_a_full_disk_names_the_file() -> None:
    sentence, code = explain(OSError(errno.ENOSPC, "No space left on device", "run/latents.csv"))
    assert code == 2
    assert "disk is full" in sentence
    assert "run/latents.csv" in sentence


def test_a_full_disk_reported_in_words_is_recognised_behind_another_error() -> None:
    error = RuntimeError("could not save")
    error.__cause__ = Exception(
        'IoError(Os { code: 28, kind: StorageFull, message: "No space left on device" })'
    )
    assert explain(error)[1] == 2
    assert "disk is full" in explain(error)[0]


def test_numpys_short_write_is_a_full_disk() -> None:
    sentence, code = explain(OSError("1000000 requested and 191984 written"))
    assert (code, "disk is full" in sentence) == (2, True)


def test_what_the_system_refuses_without_naming_a_file_can_be_mended_too() -> None:
    sentence, code = explain(OSError(errno.EMFILE, "Too many open files"))
    assert (code, "Too many open files" in sentence) == (2, True)


@pytest.mark.parametrize("name", [None, "run/movies.mrcs"])
def test_a_file_too_large_for_its_disk_is_no_matter_of_permissions(name: str | None) -> None:
    sentence, code = explain(OSError(errno.EFBIG, "File too large", name))
    assert code == 2
    assert "no file so large" in sentence
    assert "permissions" not in sentence
    assert name is None or name in sentence


def test_a_path_without_permission_is_named() -> None:
    sentence, code = explain(PermissionError(errno.EACCES, "Permission denied", "/elsewhere/run"))
    assert (code, "/elsewhere/run" in sentence) == (2, True)


def test_full_memory_and_a_missing_package_can_be_mended() -> None:
    assert explain(MemoryError())[1] == 2
    assert explain(ModuleNotFoundError("No module named 'openmm'", name="openmm"))[1] == 2


def test_ctrl_c_is_130_with_the_words_of_whoever_was_stopped() -> None:
    assert explain(KeyboardInterrupt("repeat with --resume")) == ("repeat with --resume", 130)
    sentence, code = explain(KeyboardInterrupt())
    assert (code, bool(sentence)) == (130, True)


def test_a_mistake_of_ours_is_one_sentence_and_its_traceback_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    try:
        raise KeyError("no such thing")
    except KeyError as error:
        sentence, code = explain(error)
    (log,) = tmp_path.iterdir()
    assert (code, "\n" in sentence, str(log) in sentence) == (1, False, True)
    assert "Traceback" in log.read_text()


def test_a_log_that_cannot_be_written_is_no_second_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert explain(KeyError("x"))[1] == 1
