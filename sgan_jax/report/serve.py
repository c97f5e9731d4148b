"""The page of a run in training, served to browsers on this machine. Each request renders it anew."""

import http.server
import socketserver
import threading
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from sgan_jax.errors import UserError
from sgan_jax.report.page import render
from sgan_jax.runs.find import existing

_DRAWING = threading.Lock()  # Matplotlib's settings belong to the process
HOST = "127.0.0.1"  # reachable from this machine only
NAMES = ("127.0.0.1", "localhost")
REFRESH = 10  # seconds


class PageServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A web server of one page; a context manager. `serve_forever` answers requests until it is interrupted."""

    daemon_threads = True

    @property
    def url(self) -> str:
        """Where a browser finds the page."""
        return f"http://{HOST}:{self.server_address[1]}/"


def page_server(path: Path | None, port: int) -> PageServer:
    """A server of a run's page that listens already.

    Args:
      path: run directory; by default the newest run's. Each request looks up which run is the newest.
      port: where to listen; 0 takes a free port.

    Raises:
      UserError: the run does not exist, or the port is not available.
    """
    existing(path)
    if not 0 <= port < 65536:
        raise UserError(f"‹port›: {port}; must be between 0 and 65535")
    handler = type("Handler", (_Handler,), {"path_of_run": path})
    try:
        return PageServer((HOST, port), handler)
    except OSError as error:
        raise UserError(
            f"‹port› {port}: not available ({error.strerror or error}); choose another one, or 0 for any"
        ) from None


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers / with the page, and every other address with an error."""

    path_of_run: Path | None = None

    def do_GET(self) -> None:
        """Sends the page, or an error that a browser shows."""
        # A page from elsewhere could have its own host name resolve to this machine and then read the answer.
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in NAMES:
            self._answer(HTTPStatus.FORBIDDEN, f"ask for http://{HOST}, not for {host}")
        elif self.path != "/":
            self._answer(HTTPStatus.NOT_FOUND, "there is nothing here except /")
        else:
            try:
                with _DRAWING:
                    page = render(existing(self.path_of_run), REFRESH)
            except (UserError, OSError) as error:  # the run may not have written its files yet
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            else:
                self._answer(HTTPStatus.OK, page, "text/html")

    def _answer(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        content = text.encode("utf-8", "backslashreplace")
        with suppress(ConnectionError):  # the browser has left
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Logs nothing: each refresh would be a line."""
