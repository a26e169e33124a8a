import re
import sys
from collections.abc import Iterator
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from run_folders import BOX, make_run

from temporem.errors import UserError
from temporem.reconstruction.export import export_volumes, read_index_file
from temporem.reconstruction.run import Run
from temporem.reconstruction.volume_file import read_volume, write_volume


@pytest.fixture
def run(tmp_path: Path, known_generator: None) -> Run:
    return make_run(tmp_path / "run", {"first": 3, "second": 5})


def rows_of(paths: list[Path]) -> list[int]:
    return [int(re.fullmatch(r"vol_\d{5}_image_(\d{6})\.mrc", path.name)[1]) for path in paths]


def test_a_volume_file_is_a_volume_with_its_axes_scale_and_origin(tmp_path: Path) -> None:
    volume = torch.randn(BOX, BOX, BOX, generator=torch.Generator().manual_seed(0))
    write_volume(tmp_path / "a.mrc", volume, 3.25)
    assert mrcfile.validate(tmp_path / "a.mrc")
    with mrcfile.open(tmp_path / "a.mrc") as file:
        np.testing.assert_array_equal(file.data, volume.numpy())
        assert file.is_volume()
        assert file.voxel_size.tolist() == pytest.approx((3.25,) * 3)
        assert file.header.origin.tolist() == (0, 0, 0)
        assert (file.header.mapc, file.header.mapr, file.header.maps) == (1, 2, 3)
    torch.testing.assert_close(read_volume(tmp_path / "a.mrc"), volume, atol=0, rtol=0)


def test_an_index_file_gives_one_volume_per_line_and_names_sort_in_order(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("5\n\n 0 \n5\n7\n")
    paths = export_volumes(run, tmp_path / "out", index_file=tmp_path / "rows.txt")
    assert rows_of(paths) == [5, 0, 5, 7]
    assert sorted((tmp_path / "out").iterdir()) == paths
    for path, row in zip(paths, [5, 0, 5, 7], strict=True):
        assert read_volume(path)[1, 1, 1] == 10 * (row + 1)


def test_a_movie_is_written_in_order_of_time_with_a_script_that_plays_it(run: Run, tmp_path: Path) -> None:
    paths = export_volumes(run, tmp_path / "out", movie="second")
    assert rows_of(paths) == [7, 6, 5, 4, 3]
    commands = (tmp_path / "out" / "play.cxc").read_text().splitlines()
    opened = next(line for line in commands if line.startswith("open ")).split()
    assert opened[1:-2] == [path.name for path in paths]
    assert opened[-2:] == ["vseries", "true"]
    assert any(line.startswith("vseries play #1 ") for line in commands)


def test_the_contour_level_lies_between_solvent_and_molecule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Halves(torch.nn.Module):
        def volumes(self, z: torch.Tensor) -> torch.Tensor:
            volumes = torch.randn(len(z), BOX, BOX, BOX, generator=torch.Generator().manual_seed(0)) * 0.1
            volumes[:, :3] += 2
            return volumes

    monkeypatch.setattr(Run, "generator", lambda run, device="cpu": Halves())
    run = make_run(tmp_path / "run", {"a": 4})
    export_volumes(run, tmp_path / "out", movie="a")
    level = float(re.search(r"level (\S+)", (tmp_path / "out" / "play.cxc").read_text())[1])
    assert 2.5 < level < 18


def test_without_a_choice_all_images_are_written(run: Run, tmp_path: Path) -> None:
    assert rows_of(export_volumes(run, tmp_path / "out")) == list(range(8))


def test_an_unknown_movie_is_answered_with_near_names(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no movie 'secnd': the nearest names are second, first"):
        export_volumes(run, tmp_path / "out", movie="secnd")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_volumes_is_left_alone(run: Run, tmp_path: Path) -> None:
    export_volumes(run, tmp_path / "out", movie="first")
    with pytest.raises(UserError, match="already holds volumes"):
        export_volumes(run, tmp_path / "out", movie="second")


def test_a_volume_stack_is_the_series_in_one_file(run: Run, tmp_path: Path) -> None:
    (path,) = export_volumes(run, tmp_path / "out", movie="second", form="mrc4d")
    assert mrcfile.validate(path)
    with mrcfile.open(path) as file:
        assert file.is_volume_stack()
        assert file.data.shape == (5, BOX, BOX, BOX)
        assert file.data[:, 1, 1, 1].tolist() == [80, 70, 60, 50, 40]
        assert file.voxel_size.tolist() == pytest.approx((3.0,) * 3)
    with pytest.raises(UserError, match="already holds volumes"):
        export_volumes(run, tmp_path / "out", form="mrc4d")


def test_ome_zarr_holds_volumes_axes_and_spacing(run: Run, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    (path,) = export_volumes(run, tmp_path / "out", movie="second", form="ome-zarr")
    group = zarr.open_group(path, mode="r")
    assert group["0"].shape == (5, BOX, BOX, BOX)
    assert group["0"][:, 1, 1, 1].tolist() == [80, 70, 60, 50, 40]
    (scales,) = group.attrs["multiscales"]
    assert scales["datasets"][0]["coordinateTransformations"][0]["scale"] == pytest.approx([0.1, 3, 3, 3])
    assert group.attrs["temporem"]["images"] == [7, 6, 5, 4, 3]


@pytest.mark.external
def test_ome_zarr_is_read_by_its_own_reader(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("ome_zarr")
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    (path,) = export_volumes(run, tmp_path / "out", movie="first", form="ome-zarr")
    (node,) = Reader(parse_url(path))()
    assert np.asarray(node.data[0])[:, 1, 1, 1].tolist() == [10, 20, 30]
    assert node.data[0].shape == (3, BOX, BOX, BOX)
    axes = node.metadata["axes"]
    assert [x["name"] for x in axes] == ["t", "z", "y", "x"]
    assert {x["unit"] for x in axes[1:]} == {"angstrom"}
    (transform,) = node.metadata["coordinateTransformations"][0]
    assert transform["scale"] == pytest.approx([0.1, 3.0, 3.0, 3.0])
    assert list((tmp_path / "out").iterdir()) == [path]


def test_ome_zarr_without_its_package_is_a_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(UserError, match=r"temporem\[zarr\]"):
        export_volumes(run, tmp_path / "out", form="ome-zarr")
    assert not (tmp_path / "out").exists()


def test_two_choices_are_one_too_many(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="choose one"):
        export_volumes(run, tmp_path / "out", movie="first", index_file=tmp_path / "rows.txt")


def test_a_row_out_of_range_writes_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("0\n8\n")
    with pytest.raises(UserError, match="no image 8"):
        export_volumes(run, tmp_path / "out", index_file=tmp_path / "rows.txt")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "empty"), ("\n \n", "empty"), ("1\n2.5\n", "line 2"), ("x\n", "line 1"), ("0\n-1\n", "line 2")],
)
def test_a_bad_index_file_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "rows.txt").write_text(text)
    with pytest.raises(UserError, match=said):
        read_index_file(tmp_path / "rows.txt")


def test_a_missing_index_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.txt does not exist; check the path"):
        read_index_file(tmp_path / "nowhere.txt")


@given(st.binary(max_size=60))
def test_any_index_file_gives_rows_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.txt"
    path.write_bytes(content)
    try:
        rows = read_index_file(path)
    except UserError:
        return
    assert rows
    assert min(rows) >= 0


def test_a_series_that_is_stopped_leaves_none_of_its_files(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def volumes(self: Run, rows: list[int], device: str) -> Iterator[tuple[int, torch.Tensor]]:
        yield rows[0], torch.ones(BOX, BOX, BOX)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "volumes", volumes)
        with pytest.raises(KeyboardInterrupt):
            export_volumes(run, tmp_path / "out", movie="second")
    assert not any((tmp_path / "out").iterdir())
    assert len(export_volumes(run, tmp_path / "out", movie="second")) == 5
