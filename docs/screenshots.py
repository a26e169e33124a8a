"""Pictures of the report and the viewer for the documentation, by Chromium: light, dark, phone.

python docs/screenshots.py RUN: RUN is a run folder with its report.html; the pictures go to docs/images.
"""

import argparse
import base64
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from temporem.files import replacing
from temporem.reconstruction.run import Run
from temporem.report.viewer.explored_run import ExploredRun
from temporem.report.viewer.server import ViewerServer

IMAGES = Path(__file__).parent / "images"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--enable-unsafe-swiftshader", "--use-angle=swiftshader", "--hide-scrollbars",
    # A molecule that plays is drawn again and again.
    "--force-prefers-reduced-motion",
)  # fmt: skip
SIZES = {"light": (1000, 860), "dark": (1000, 860), "phone": (390, 844)}
"""Width and height in CSS pixels."""


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for flag in FLAGS:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    # Surfaces are drawn without a GPU.
    driver.command_executor.client_config.timeout = 900
    try:
        yield driver
    finally:
        driver.quit()


def picture(driver: Any, address: str, kind: str, ready: str, path: Path, whole: bool = False) -> None:
    """Open a page as this kind of reader has it, wait until it is `ready`, and keep what is seen."""
    width, height = SIZES[kind]
    phone = kind == "phone"
    metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if kind == "dark" else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get(address)
    WebDriverWait(driver, 300).until(lambda x: x.execute_script(f"return {ready}"))
    shown: dict[str, Any] = {"format": "png"}
    if whole:
        tall = driver.execute_script("return document.documentElement.scrollHeight")
        shown |= {
            "captureBeyondViewport": True,
            "clip": {"x": 0, "y": 0, "width": width, "height": tall, "scale": 1},
        }
    data = driver.execute_cdp_cmd("Page.captureScreenshot", shown)["data"]
    with replacing(path) as temporary:
        temporary.write_bytes(base64.b64decode(data))


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--output", type=Path, default=IMAGES)
    parser.add_argument("--whole", action="store_true", help="the whole report, not its first screen")
    options = parser.parse_args()
    run = Run.open(options.run)
    with browser() as driver:
        for kind in SIZES:
            page = (run.path / "report.html").resolve().as_uri()
            drawn = "document.readyState === 'complete'"
            picture(driver, page, kind, drawn, options.output / f"report_{kind}.png", options.whole)
        if options.whole:
            return
        with ViewerServer([ExploredRun(run)]) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                drawn = "panels.length === 1 && panels.every((x) => x.seen && !x.loading)"
                for kind in SIZES:
                    picture(driver, server.address, kind, drawn, options.output / f"viewer_{kind}.png")
            finally:
                server.shutdown()
                thread.join()


if __name__ == "__main__":
    main()
