import errno
import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from temporem import files
from temporem.files import check_makeable, read_ahead, replacing, reserve, room_for, write_json, write_text


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.txt"
    write_text(path, "old")
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, float("nan"))
    with pytest.raises(FileNotFoundError), replacing(path) as temporary:
        (tmp_path / "missing").rename(temporary)
    assert path.read_text() == "old"
    assert [x.name for x in path.parent.iterdir()] == ["a.txt"]


def test_new_files_have_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_an_error_of_the_disk_names_the_file_that_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match=r"a\.txt"), replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match=r"'.*/a\.txt'"), replacing(path) as temporary:
        raise OSError(errno.ENOSPC, "No space left on device", str(temporary))
    with pytest.raises(OSError, match=r"another\.txt"), replacing(path):
        raise OSError(errno.ENOENT, "No such file", "another.txt")
    with pytest.raises(OSError, match="8 requested and 4 written"), replacing(path):
        raise OSError("8 requested and 4 written")


def test_a_full_disk_that_a_library_tells_in_words_names_the_file_too(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"a\.safetensors") as told, replacing(tmp_path / "a.safetensors"):
        raise RuntimeError("I/O error: No space left on device (os error 28)")
    assert told.value.errno == errno.ENOSPC


def test_a_folder_that_cannot_be_made_is_found_out_and_nothing_is_left(tmp_path: Path) -> None:
    check_makeable(tmp_path / "a" / "b")
    assert not any(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        check_makeable(tmp_path / "file" / "b")
    check_makeable(tmp_path)
    assert tmp_path.is_dir()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot reserve")
def test_reserved_bytes_are_taken_from_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map"
    with path.open("wb") as file:
        reserve(file.fileno(), 100_000, path)
    assert path.stat().st_blocks * 512 >= 100_000

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with path.open("wb") as file, pytest.raises(OSError, match="map"):
        reserve(file.fileno(), 100_000, path)


@pytest.mark.skipif(not hasattr(mmap, "MADV_WILLNEED"), reason="the system cannot read ahead")
def test_whole_pages_that_hold_the_rows_are_asked_for() -> None:
    asked: list[tuple[int, int]] = []

    class Recorded(mmap.mmap):
        def madvise(self, option: int, start: int, length: int) -> None:
            assert option == mmap.MADV_WILLNEED
            asked.append((start, length))
            super().madvise(option, start, length)

    rows, width = 100, 3000
    array = np.ndarray((rows, width), np.uint8, buffer=Recorded(-1, rows * width))
    read_ahead(array, [0, 50, 99], 1000)
    for row, (start, length) in zip((0, 50, 99), asked, strict=True):
        assert start % mmap.PAGESIZE == 0
        assert start <= row * width < start + mmap.PAGESIZE
        assert start + length == row * width + 1000


def test_reading_ahead_changes_nothing_in_a_file_or_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BYTES_IN_MEMORY", 1000)
    for count in (10, 5000):
        array = room_for((count, 3), np.float32)
        array[:] = np.arange(3 * count).reshape(count, 3)
        assert isinstance(array, np.memmap) == (count == 5000)
        read_ahead(array, [0, count // 2, count - 1], 12)
        assert np.array_equal(array, np.arange(3 * count).reshape(count, 3))
