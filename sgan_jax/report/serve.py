"""The page of a run that goes on, for a browser on this machine: made anew when it is asked for."""

import http.server
import socketserver
import threading
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from sgan_jax.errors import UserError
from sgan_jax.report.page import render
from sgan_jax.runs.directory import existing

_DRAWING = threading.Lock()  # Matplotlib's settings are the process's
HOST = "127.0.0.1"  # nobody else is to see it
NAMES = ("127.0.0.1", "localhost")
REFRESH = 10  # seconds


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers / with the page and nothing else."""

    path_of_run: Path | None = None

    def do_GET(self) -> None:
        """The page, or an error that a browser shows."""
        # A page of elsewhere may have its own name lead here and would then read the answer.
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in NAMES:
            self._answer(HTTPStatus.FORBIDDEN, f"ask for http://{HOST}, not for {host}")
        elif self.path != "/":
            self._answer(HTTPStatus.NOT_FOUND, "there is nothing here but /")
        else:
            try:
                with _DRAWING:
                    page = render(existing(self.path_of_run), REFRESH)
            except (UserError, OSError) as error:  # the run may just be beginning
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
        """Says nothing: each refresh would be a line."""


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


def serve(path: Path | None, port: int) -> int:
    """Serves the page until Ctrl-C.

    Args:
      path: run directory; by default the newest run's, whichever that is when it is asked for.
      port: where to listen; 0 takes a free one.

    Returns:
      0.

    Raises:
      UserError: there is no such run, or the port cannot be had.
    """
    existing(path)
    if not 0 <= port < 65536:
        raise UserError(f"‹port›: {port}; must be between 0 and 65535")
    handler = type("Handler", (_Handler,), {"path_of_run": path})
    try:
        server = _Server((HOST, port), handler)
    except OSError as error:
        raise UserError(
            f"‹port› {port}: cannot be had ({error.strerror or error}); another one, or 0 for any"
        ) from None
    with server:
        print(f"http://{HOST}:{server.server_address[1]}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            print()
    return 0
