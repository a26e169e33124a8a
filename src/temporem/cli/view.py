"""`temporem view`: explore runs in the browser."""

import webbrowser
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from temporem.errors import UserError
from temporem.progress import console
from temporem.reconstruction.run import Run
from temporem.report.viewer.explored_run import ExploredRun
from temporem.report.viewer.server import ViewerServer

__all__ = ["view"]


def view(
    run: Positional[Annotated[Path, arg(metavar="RUN")]],
    other: Annotated[Path | None, arg(metavar="RUN")] = None,
    port: int = 0,
    no_browser: FlagCreatePairsOff[bool] = False,
    device: str = "cpu",
) -> None:
    """Explore a run, or two side by side, in the browser: click a state and see its volume.

    The page is served to this machine only, until Ctrl-C. What is saved on it, paths as volume series and
    selections as STAR, lies in the folder `viewer` of the run.

    Args:
        run: Folder made by `temporem reconstruct`.
        other: A second run to show beside it.
        port: Where to serve; 0 takes any free port.
        no_browser: Only print the address.
        device: Processor that computes the volumes: cpu, cuda, cuda:1, …
    """
    with console.status("Loading"):
        runs = [ExploredRun(Run.open(path), device) for path in (run, other) if path is not None]
    try:
        server = ViewerServer(runs, port)
    except (OSError, OverflowError) as error:
        raise UserError(f"port {port} cannot be used ({error}): choose another with --port.") from None
    with server:
        print(f"{server.address} shows the run until Ctrl-C", flush=True)
        if not no_browser:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
