"""The viewer's server: bound to this machine, it answers only pages that it gave out itself."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from temporem.errors import UserError
from temporem.report.viewer.explored_run import ExploredRun
from temporem.report.viewer.page import viewer_page

__all__ = ["ViewerServer"]

LOOPBACK = "127.0.0.1"
LARGEST_REQUEST = 2**20


class ViewerServer(ThreadingHTTPServer):
    """Serves runs on a port of the loopback interface, 0 for any free one.

    - GET / : the page. GET /runs : what it needs to know of the runs.
    - GET /volume?run=0&row=12 or &x=0.1&y=-0.3 : bytes of the volume of a frame or at a place on the map.
    - POST /path {run, places, name}, POST /selection {run, rows, name} : save; answers {folder}.

    A mistake answers with status 400 and {error}. Raises OSError where the port is taken.
    """

    daemon_threads = True

    def __init__(self, runs: Sequence[ExploredRun], port: int = 0) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.runs = tuple(runs)
        self.page = viewer_page(len(self.runs)).encode()

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{LOOPBACK}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: ViewerServer

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, make: Any) -> None:
        # A page elsewhere may have its name point to this machine: only our own names are answered.
        allowed = {f"{host}:{self.server.server_port}" for host in (LOOPBACK, "localhost")}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in allowed or (
            origin is not None and origin.removeprefix("http://") not in allowed
        ):
            self._send(HTTPStatus.FORBIDDEN, b"", "text/plain")
            return
        try:
            content, kind = make()
            self._send(HTTPStatus.OK, content, kind)
        except _NotFoundError:
            self._send(HTTPStatus.NOT_FOUND, b"", "text/plain")
        except UserError as error:
            self._send(HTTPStatus.BAD_REQUEST, _json({"error": str(error)}), "application/json")
        except (KeyError, ValueError, IndexError, TypeError):
            self._send(
                HTTPStatus.BAD_REQUEST, _json({"error": "the request is malformed."}), "application/json"
            )

    def _get(self) -> tuple[bytes, str]:
        target = urlsplit(self.path)
        if target.path == "/":
            return self.server.page, "text/html; charset=utf-8"
        if target.path == "/favicon.ico":
            return b"", "image/png"
        if target.path == "/runs":
            return _json([run.told() for run in self.server.runs]), "application/json"
        if target.path == "/volume":
            asked = {name: values[0] for name, values in parse_qs(target.query).items()}
            run = self._run(int(asked["run"]))
            state = (
                run.z[_index(int(asked["row"]), len(run.z))]
                if "row" in asked
                else run.state_at([_finite(float(asked["x"])), _finite(float(asked["y"]))])
            )
            return run.bytes_at(state).tobytes(), "application/octet-stream"
        raise _NotFoundError

    def _post(self) -> tuple[bytes, str]:
        length = int(self.headers.get("Content-Length", 0))
        if length > LARGEST_REQUEST:
            raise ValueError
        asked = json.loads(self.rfile.read(length))
        run, name = self._run(int(asked["run"])), str(asked["name"])
        if self.path == "/path":
            places = [[_finite(float(x)), _finite(float(y))] for x, y in asked["places"]]
            return _json({"folder": str(run.save_path(places, name))}), "application/json"
        if self.path == "/selection":
            images = run.latents["image"].tolist()
            chosen = [images[_index(int(row), len(images))] for row in asked["rows"]]
            return _json({"folder": str(run.save_selection(chosen, name))}), "application/json"
        raise _NotFoundError

    def _run(self, index: int) -> ExploredRun:
        return self.server.runs[_index(index, len(self.server.runs))]

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            # The page asked for something else meanwhile.
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of every request."""


class _NotFoundError(Exception):
    pass


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode()


def _index(value: int, count: int) -> int:
    if not 0 <= value < count:
        raise IndexError
    return value


def _finite(value: float) -> float:
    if not abs(value) < float("inf"):
        raise ValueError
    return value
