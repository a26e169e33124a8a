"""What the viewer's server answers, without a browser."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from temporem.reconstruction.run import Run
from temporem.reconstruction.volume_file import read_volume
from temporem.report.viewer import explored_run
from temporem.report.viewer.explored_run import ExploredRun
from temporem.report.viewer.server import ViewerServer
from temporem.report.volume_bytes import ByteScale


@pytest.fixture
def server(run: Run) -> Iterator[ViewerServer]:
    with ViewerServer([ExploredRun(run)]) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: ViewerServer, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.address + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_the_page_and_the_runs_are_given(server: ViewerServer) -> None:
    status, page = ask(server, "")
    assert status == 200
    assert page.count(b"<section data-panel") == 1
    assert b"http://" not in page.replace(b"http://www.w3.org", b"")
    (told,) = json.loads(ask(server, "runs")[1])
    assert told["movie"] == "second & last"
    assert sorted(row for rows in told["movies"].values() for row in rows) == list(range(21))
    assert 0 < told["level"] < 1


def test_a_null_is_named_as_one(run: Run) -> None:
    assert ExploredRun(run).told()["name"] == "a run"
    run.update_config(reading={"null": "shuffle"})
    assert ExploredRun(run).told()["name"] == "a run (null: frames in random order)"


def test_a_frames_volume_comes_as_bytes_on_the_stated_scale(server: ViewerServer, run: Run) -> None:
    (told,) = json.loads(ask(server, "runs")[1])
    status, content = ask(server, "volume?run=0&row=7")
    assert status == 200
    n = told["box"]
    found = np.frombuffer(content, np.uint8).reshape(n, n, n) / 255 * told["highest"]
    (true,) = run.volumes_at(torch.tensor(run.latents()[["z1", "z2"]].to_numpy(copy=True)[7:8]))
    middle, half = len(true) // 2, n // 2
    kept = true[(slice(middle - half, middle + half),) * 3].numpy().clip(max=told["highest"])
    np.testing.assert_allclose(found, kept, atol=told["highest"] / 255)


def test_a_place_on_a_frame_is_its_state_and_one_between_lies_between(run: Run) -> None:
    explored = ExploredRun(run)
    # With two latents the map is the whole latent space.
    np.testing.assert_allclose(explored.state_at(explored.places[3].tolist()), explored.z[3], atol=1e-6)
    between = (explored.places[5] + explored.places[13]) / 2
    np.testing.assert_allclose(
        explored.state_at(between.tolist()), (explored.z[5] + explored.z[13]) / 2, atol=1e-6
    )


def test_a_path_is_saved_as_a_series_that_plays(server: ViewerServer, run: Run) -> None:
    (told,) = json.loads(ask(server, "runs")[1])
    rows = told["movies"]["second & last"]
    places = [told["places"][row] for row in (rows[0], rows[-1])]
    status, answer = ask(server, "path", {"run": 0, "places": places, "name": "opening"})
    assert status == 200
    folder = Path(json.loads(answer)["folder"])
    assert folder == run.path / "viewer" / "opening"
    assert sorted(x.name for x in folder.iterdir()) == ["play.cxc", "vol_00000.mrc", "vol_00001.mrc"]
    _, whole = next(iter(run.volumes([rows[0]])))
    saved = read_volume(folder / "vol_00000.mrc")
    np.testing.assert_allclose(saved, whole * run.mask(), atol=1e-3)
    status, answer = ask(server, "path", {"run": 0, "places": places, "name": "opening"})
    assert status == 400
    assert "already there" in json.loads(answer)["error"]


def test_a_selection_names_the_input_rows(
    server: ViewerServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(explored_run, "export_particles", lambda *x: asked.append(x))
    status, _ = ask(server, "selection", {"run": 0, "rows": [4, 2, 4], "name": "ends"})
    assert status == 200
    assert asked == [(run, run.path / "viewer" / "ends", [2, 4])]
    assert ask(server, "selection", {"run": 0, "rows": [], "name": "none"})[0] == 400


@pytest.mark.parametrize(
    "path",
    ["volume", "volume?run=0&row=21", "volume?run=1&row=0", "volume?run=0&x=nan&y=0", "volume?run=0&row=-1"],
)
def test_what_is_not_there_is_refused(server: ViewerServer, path: str) -> None:
    assert ask(server, path)[0] == 400


@pytest.mark.parametrize("name", ["../out", "", "a b", "x" * 41])
def test_a_name_cannot_leave_the_folder(server: ViewerServer, run: Run, name: str) -> None:
    status, answer = ask(server, "path", {"run": 0, "places": [[0, 0], [1, 1]], "name": name})
    assert status == 400
    assert "cannot be a name" in json.loads(answer)["error"]
    assert not (run.path / "viewer").exists()


def test_only_this_machines_own_pages_are_answered(server: ViewerServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert ask(server, "runs", Host="evil.example")[0] == 403
    assert ask(server, "runs", Origin="http://evil.example")[0] == 403
    assert ask(server, "runs", Origin=server.address.rstrip("/"))[0] == 200
    assert ask(server, "nothing")[0] == 404


def test_large_boxes_are_binned_about_the_same_centre() -> None:
    n = 160
    mask = torch.zeros(n, n, n)
    mask[20:140, 20:140, 20:140] = 1
    scale = ByteScale.of(mask, 1.0)
    assert scale.binning == 2
    assert scale.box <= 72
    volume = torch.zeros(n, n, n)
    volume[78:82, 78:82, 78:82] = 1.5
    found = scale.bytes_of(volume)
    half = scale.box // 2
    assert found[half, half, half] == found[half - 1, half - 1, half - 1] == round(1.5 / 3 * 255)
    assert (found > 0).sum() == 8
