"""Stacks written by other programs, and damaged ones."""

import mrcfile
import numpy as np
import pytest
import tifffile
from movies_on_disk import pixels, write_with_mrcfile

from temporem.errors import UserError
from temporem.movies.images import StackImages, open_stack
from temporem.movies.mrc import write_mrcs


def read_all(path):
    images = StackImages.all_of([open_stack(path)])
    return images.read(np.arange(len(images)))


@pytest.mark.parametrize("name", ["i1", "i2", "u2", "f2", "f4"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_mrc_modes_and_byte_orders(tmp_path, name, order):
    values = np.random.default_rng(0).integers(0, 100, (3, 6, 6)).astype(order + name)
    found = read_all(write_with_mrcfile(tmp_path / "a.mrcs", values))
    np.testing.assert_array_equal(found, values.astype(np.float32))
    assert found.dtype == np.float32


def test_extended_header(tmp_path):
    path = write_with_mrcfile(tmp_path / "a.mrc", pixels(2))
    with mrcfile.open(path, mode="r+") as file:
        file.set_extended_header(np.frombuffer(b"some bytes" * 8, dtype="V1"))
    np.testing.assert_array_equal(read_all(path), pixels(2))


def test_written_stack_is_valid_to_mrcfile(tmp_path):
    write_mrcs(tmp_path / "a.mrcs", iter(pixels(5)), 1.7)
    assert mrcfile.validate(tmp_path / "a.mrcs")
    with mrcfile.open(tmp_path / "a.mrcs") as file:
        assert file.is_image_stack()
        assert file.voxel_size.x == pytest.approx(1.7)
        np.testing.assert_array_equal(file.data, pixels(5))
        assert file.header.rms == pytest.approx(pixels(5).std(), rel=1e-5)
    assert open_stack(tmp_path / "a.mrcs").pixel_size_in_angstroms == pytest.approx(1.7)


def test_interrupted_writing_leaves_the_old_file(tmp_path):
    def breaks():
        yield pixels(1)[0]
        raise OSError("disk full")

    write_mrcs(tmp_path / "a.mrcs", pixels(2), 1.7)
    with pytest.raises(OSError, match="disk full"):
        write_mrcs(tmp_path / "a.mrcs", breaks(), 1.7)
    np.testing.assert_array_equal(read_all(tmp_path / "a.mrcs"), pixels(2))
    assert [x.name for x in tmp_path.iterdir()] == ["a.mrcs"]
    with pytest.raises(ValueError, match="no image"):
        write_mrcs(tmp_path / "b.mrcs", [], 1.7)
    with pytest.raises(ValueError, match="shape"):
        write_mrcs(tmp_path / "b.mrcs", [pixels(1)[0], pixels(1, box=6)[0]], 1.7)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}, {"metadata": None}])
def test_tiff(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", pixels(3), photometric="minisblack", **options)
    np.testing.assert_array_equal(read_all(tmp_path / "a.tif"), pixels(3))
    images = StackImages([open_stack(tmp_path / "a.tif")], np.zeros(2, int), np.array([2, 0]))
    np.testing.assert_array_equal(images.read(np.array([1, 0, 1])), pixels(3)[[0, 2, 0]])


def test_rows_are_read_in_the_order_asked_across_stacks(tmp_path):
    for i in range(3):
        write_with_mrcfile(tmp_path / f"{i}.mrcs", pixels(4, seed=i))
    stacks = [open_stack(tmp_path / f"{i}.mrcs") for i in range(3)]
    everything = np.concatenate([pixels(4, seed=i) for i in range(3)])
    rows = np.array([11, 0, 5, 5, 3, 8])
    np.testing.assert_array_equal(StackImages.all_of(stacks).read(rows), everything[rows])
    assert StackImages.all_of(stacks).read(np.array([], int)).shape == (0, 8, 8)
    assert StackImages.all_of(stacks).name(5) == f"000002@{tmp_path / '1.mrcs'}"


def test_header_of_one_angstrom_says_nothing(tmp_path):
    assert open_stack(write_with_mrcfile(tmp_path / "a.mrcs", pixels(2), 1)).pixel_size_in_angstroms is None
    assert open_stack(write_with_mrcfile(tmp_path / "b.mrcs", pixels(2), 0)).pixel_size_in_angstroms is None


def damage(path, offset, data):
    raw = bytearray(path.read_bytes())
    raw[offset : offset + len(data)] = data
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("a.png", lambda p: p.write_bytes(b"x"), "not an image stack"),
        ("a.mrcs", lambda p: None, "does not exist"),
        ("a.mrcs", lambda p: p.mkdir(), "is a folder"),
        ("a.mrcs", lambda p: p.write_bytes(b""), "not an MRC file"),
        ("a.mrcs", lambda p: damage(write_with_mrcfile(p, pixels(2)), 208, b"XXXX"), "lacks the word MAP"),
        ("a.mrcs", lambda p: write_with_mrcfile(p, pixels(2).astype(np.complex64)), "MRC mode 4"),
        (
            "a.mrcs",
            lambda p: damage(write_with_mrcfile(p, pixels(2)), 8, b"\5"),
            "room for 2 images .* says 5",
        ),
        (
            "a.mrcs",
            lambda p: damage(write_with_mrcfile(p, pixels(2)), 8, b"\1"),
            "room for 2 images .* says 1",
        ),
        (
            "a.mrcs",
            lambda p: damage(write_with_mrcfile(p, pixels(2)), 0, b"\0\0\0\0"),
            "corrupt MRC header.*; write it again",
        ),
        (
            "a.mrcs",
            lambda p: write_with_mrcfile(p, pixels(2)[:, :6]),
            "8 × 6 pixels; they must be square, so crop",
        ),
        ("a.mrcs", lambda p: write_with_mrcfile(p, pixels(2, box=7)), "odd box of 7"),
        ("a.tif", lambda p: p.write_bytes(b"II*\0 this is no TIFF"), "could not be read as TIFF"),
        ("a.tif", lambda p: p.write_bytes(b""), "could not be read as TIFF"),
        (
            "a.tif",
            lambda p: tifffile.imwrite(p, np.zeros((8, 8, 3), np.uint8), photometric="rgb"),
            "grey images",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(UserError, match=message) as error:
        read_all(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def test_boxes_and_slices_that_do_not_match(tmp_path):
    stacks = [open_stack(write_with_mrcfile(tmp_path / f"{box}.mrcs", pixels(2, box=box))) for box in (8, 6)]
    with pytest.raises(UserError, match=r"6\.mrcs has a box of 6 pixels but .*8\.mrcs one of 8"):
        StackImages.all_of(stacks)
    with pytest.raises(UserError, match=r"row 1 asks for image 3 of .*8\.mrcs, which holds 2"):
        StackImages(stacks[:1], np.zeros(2, int), np.array([0, 2]))
