"""The pages as a browser shows them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from temporem.reconstruction.run import Run
from temporem.report.comparison import PLAYER
from temporem.report.page import table, write_page
from temporem.report.report import write_report

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--force-prefers-reduced-motion", "--enable-unsafe-swiftshader",
    "--use-angle=swiftshader",
)  # fmt: skip

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium"),
]


def seen(page: Path, width: int = 1000) -> str:
    """The document after its scripts have run."""
    options = [*FLAGS, f"--window-size={width},800", "--dump-dom"]
    done = subprocess.run(
        [str(BROWSER), *options, "--virtual-time-budget=1000", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def add_script(page: Path, script: str) -> None:
    page.write_text(page.read_text().replace("</body>", f"<script>{script}</script></body>"))


WIDEST = "document.title = 'wide ' + (document.documentElement.scrollWidth > innerWidth);"


@pytest.mark.parametrize("width", [1000, 500])
def test_the_report_never_scrolls_sideways_as_a_whole(run: Run, width: int) -> None:
    page = write_report(run)
    add_script(page, WIDEST)
    assert "<title>wide false</title>" in seen(page, width)


def test_on_paper_nothing_is_cut_off(run: Run) -> None:
    selenium = pytest.importorskip("selenium.webdriver")
    run.update_config(command=["temporem", "reconstruct", "x" * 200, "y" * 200])
    page = write_report(run)
    wide = table([f"a long heading {i}" for i in range(14)], [["0.12 (0.10 to 0.20)"] * 14])
    page.write_text(page.read_text().replace("</body>", f"{wide}</body>"))
    options = selenium.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, "--window-size=800,1100"):
        options.add_argument(flag)
    browser = selenium.Chrome(options=options, service=selenium.ChromeService(shutil.which("chromedriver")))
    try:
        browser.get(page.as_uri())
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        cut = "return [...document.querySelectorAll('pre, .wide, .strip')].filter(x => x.offsetParent"
        assert browser.execute_script(f"{cut} && x.scrollWidth > x.clientWidth).map(x => x.outerHTML)") == []
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen"})
        assert browser.execute_script(f"{cut} && x.scrollWidth > x.clientWidth).length") > 0
    finally:
        browser.quit()


def test_the_slider_shows_one_frame_of_each_side(tmp_path: Path) -> None:
    panels = "".join(f"<div data-frame='{i}'>{side}{i}</div>" for side in "ab" for i in range(3))
    controls = "<button id='play'></button><input id='frame' type='range' min='0' max='2' value='0'>"
    page = tmp_path / "page.html"
    write_page(page, "x", panels + controls + PLAYER)
    move = (
        "slider.value = 2; slider.dispatchEvent(new Event('input'));"
        "document.title = panels.filter(x => !x.hidden).map(x => x.textContent).join(' ');"
    )
    add_script(page, move)
    assert "<title>a2 b2</title>" in seen(page)


def test_the_molecule_is_drawn_and_follows_slider_and_level(run: Run) -> None:
    page = write_report(run)
    add_script(
        page,
        """
        (async () => {
          while (!molecule.frames) await new Promise((x) => setTimeout(x, 20));
          const covered = () => molecule.view.covered(), set = (name, value) => {
            const input = document.querySelector(`#molecule [data-part=${name}]`);
            input.value = value;
            input.dispatchEvent(new Event("input"));
          };
          const first = molecule.view.canvas.toDataURL(), whole = covered();
          set("time", 8);
          const moved = molecule.view.canvas.toDataURL() !== first;
          const label = document.querySelector("#molecule [data-part=label]").textContent;
          set("level", 0.95);
          document.title = `seen ${whole > 0.01 && whole < 0.6} ${moved} ${label} ${covered() < 0.7 * whole}`;
        })();
        """,
    )
    assert "<title>seen true true frame 8 true</title>" in seen(page)
