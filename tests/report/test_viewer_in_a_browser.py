"""The viewer as a person uses it: clicks and drags in Chromium, and what is drawn."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from temporem.reconstruction.run import Run
from temporem.report.viewer import explored_run
from temporem.report.viewer.explored_run import ExploredRun
from temporem.report.viewer.server import ViewerServer

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-unsafe-swiftshader", "--use-angle=swiftshader",
    "--window-size=1200,1100",
)  # fmt: skip

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(BROWSER is None or DRIVER is None, reason="needs Chromium and its driver"),
    # Selenium leaves its sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def page(run: Run) -> Iterator[Any]:
    """The viewer with the same run twice, side by side, once its first volumes are drawn."""
    selenium = pytest.importorskip("selenium.webdriver")
    options = selenium.ChromeOptions()
    options.binary_location = BROWSER
    for flag in FLAGS:
        options.add_argument(flag)
    with ViewerServer([ExploredRun(run), ExploredRun(run)]) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        browser = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
        try:
            browser.get(server.address)
            until(browser, "panels.length === 2 && panels.every((x) => x.seen && !x.loading)")
            yield browser
        finally:
            browser.quit()
            server.shutdown()
            thread.join()


def until(page: Any, condition: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page, 60).until(lambda x: x.execute_script(f"return {condition}"))


def pointer(page: Any, part: str, places: list[list[float]]) -> None:
    """Press at the first of these CSS pixels of the first panel's part, move along the others, let go."""
    from selenium.webdriver.common.action_chains import ActionChains

    element = page.find_element("css selector", f"[data-part={part}]")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    width, height = element.rect["width"], element.rect["height"]
    offsets = [(round(u - width / 2), round(v - height / 2)) for u, v in places]
    action = ActionChains(page, duration=20).move_to_element_with_offset(element, *offsets[0])
    action.click_and_hold()
    for offset in offsets[1:]:
        action.move_to_element_with_offset(element, *offset)
    action.release().perform()


def press(page: Any, part: str) -> None:
    page.find_element("css selector", f"[data-part={part}]").click()


def places_of(page: Any, movie: str) -> list[list[float]]:
    return page.execute_script(
        "const x = panels[0]; return x.run.movies[arguments[0]].map((r) => x.onMap(x.run.places[r]))", movie
    )


def picture(page: Any) -> str:
    return page.execute_script("return panels[0].view.canvas.toDataURL()")


def test_a_click_on_a_frame_shows_its_volume(page: Any) -> None:
    assert 0.01 < page.execute_script("return panels[0].view.covered()") < 0.6
    before = picture(page)
    pointer(page, "map", [places_of(page, "second & last")[-1]])
    row = page.execute_script("return panels[0].run.movies['second & last'].at(-1)")
    until(page, f"panels[0].seen.row === {row}")
    assert picture(page) != before


def test_dragging_along_a_trajectory_stays_on_it_to_its_last_volume(page: Any) -> None:
    before = picture(page)
    # Frames of another movie lie in the way, halfway between those of this one.
    page.execute_script(
        """
        const x = panels[0], on = x.run.movies["second & last"].map((r) => x.run.places[r]), show = x.show;
        x.run.movies.first.forEach((r, i) => {
          x.run.places[r] = [0, 1].map((axis) => (on[i][axis] + on[i + 1][axis]) / 2); });
        x.draw();
        x.visited = [];
        x.show = function (wish) { this.visited.push(this.movies.value); show.call(this, wish); };
        """
    )
    on, between = places_of(page, "second & last"), places_of(page, "first")
    pointer(page, "map", [place for pair in zip(on, between, strict=False) for place in pair] + on[5:])
    visited = page.execute_script("return panels[0].visited")
    assert len(visited) > 5
    assert set(visited) == {"second & last"}
    row = page.execute_script("return panels[0].run.movies['second & last'].at(-1)")
    until(page, f"!panels[0].loading && panels[0].seen.row === {row}")
    assert picture(page) != before


def test_stepping_through_time_moves_both_runs(page: Any) -> None:
    page.execute_script("const x = panels[0].slider; x.value = 6; x.dispatchEvent(new Event('input'));")
    rows = page.execute_script("return panels.map((x) => x.run.movies['second & last'][6])")
    until(page, f"panels.every((x, i) => x.seen.row === {json.dumps(rows)}[i])")


def test_playing_goes_on_through_the_frames(page: Any) -> None:
    press(page, "play")
    until(page, "Number(panels[0].slider.value) >= 3")
    press(page, "play")


def test_a_drag_on_the_volume_turns_both(page: Any) -> None:
    before, view = picture(page), page.execute_script("return panels[1].view.view")
    pointer(page, "volume", [[100.0, 100.0], [180.0, 130.0]])
    assert picture(page) != before
    turned = page.execute_script("return panels.map((x) => x.view.view)")
    assert turned[0] == turned[1] != view


def test_a_higher_level_covers_less(page: Any) -> None:
    covered = "return panels[0].view.covered()"
    low = page.execute_script(covered)
    page.execute_script("const x = panels[0].level; x.value = 0.9; x.dispatchEvent(new Event('input'))")
    assert page.execute_script(covered) < 0.7 * low


def test_a_path_drawn_is_saved_as_volumes(page: Any, run: Run) -> None:
    press(page, "draw")
    pointer(page, "map", places_of(page, "second & last"))
    page.execute_script("panels[0].part('count').value = 5")
    press(page, "save")
    until(page, "panels[0].note.textContent.startsWith('Saved in')")
    assert len(list((run.path / "viewer" / "new").glob("vol_*.mrc"))) == 5
    assert (run.path / "viewer" / "new" / "play.cxc").exists()


def test_frames_circled_are_selected_and_saved(page: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Run, Path, list[int]]] = []
    monkeypatch.setattr(explored_run, "export_particles", lambda *x: asked.append(x))
    press(page, "select")
    u, v = places_of(page, "second & last")[-1]
    pointer(page, "map", [[u - 9, v - 9], [u + 9, v - 9], [u + 9, v + 9], [u - 9, v + 9], [u - 9, v - 8]])
    chosen = page.execute_script("return panels[0].chosen")
    assert page.execute_script("return panels[0].run.movies['second & last'].at(-1)") in chosen
    assert len(chosen) < 8
    press(page, "save")
    until(page, "panels[0].note.textContent.startsWith('Saved in')")
    assert asked == [(run, run.path / "viewer" / "new", sorted(chosen))]


def test_a_volume_that_comes_leaves_the_number_selected(page: Any) -> None:
    press(page, "whole")
    page.execute_script("panels[0].kept.clear(); panels[0].step(3)")
    row = page.execute_script("return panels[0].run.movies['second & last'][3]")
    until(page, f"!panels[0].loading && panels[0].seen.row === {row}")
    assert page.execute_script("return panels[0].note.textContent") == "9 frames selected."
    assert page.execute_script("return panels[0].part('busy').textContent") == ""


def test_very_many_frames_fit_on_the_map(page: Any) -> None:
    fitted = "const x = panels[0]; x.run.places = Array.from({length: 300000}, (_, i) => [i, -i]); x.fit();"
    (left, right), (low, high) = page.execute_script(f"{fitted} return [x.x, x.y]")
    assert left < 0 < 299999 < right < 1.1 * 299999
    assert low < -299999 < 0 < high


def test_a_phone_does_not_scroll_sideways(page: Any) -> None:
    page.set_window_size(500, 900)
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
