"""The page of a run: what it shows, that it needs nothing else, and who may see it."""

import html
import http.client
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pytest
from outer import NOTICE, RUN, STEPS, call, command, copy_of_finished_run, environment, finished_run, succeed
from rooms import RUN as ROOMS
from rooms import trained

from sgan_jax.cli.report import Report
from sgan_jax.errors import UserError
from sgan_jax.report.page import render
from sgan_jax.report.serve import _Handler
from sgan_jax.runs import predictions
from sgan_jax.runs.directory import RunDir

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """What a page refers to, and whether its elements close."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.refers: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.refers += [
            value for name, value in attributes if name in ("src", "href", "xlink:href", "action") and value
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.refers += [value for name, value in attributes if name in ("src", "href", "xlink:href") and value]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_of_a_run_shows_all_of_it_and_refers_to_nothing_outside(tmp_path: Path) -> None:
    run = copy_of_finished_run(tmp_path)
    assert succeed("report", cwd=tmp_path) == f"{run.resolve()}/report.html\n"
    text = (run / "report.html").read_text()
    page = Page(text)
    assert page.open == [], "every element is closed"
    assert all(reference.startswith(("data:", "#")) for reference in page.refers)
    assert "<script" not in text
    assert text.count("data:image/png;base64,") >= len(STEPS) + 1
    result = json.loads((run / "result.json").read_text())
    for part in (
        NOTICE,
        f"{100 * result['test_accuracy']:.2f} %",
        "100 of 4,000 training images (2.5 %) with their label",
        "finished",
        "Expected calibration error",
        "The most confident mistakes",
        "train --dataset mnist-5k",
        "step 8",
    ):
        assert part in html.unescape(text), part
    assert re.findall(r'<td>(\d)</td><td class="number">(\d+)</td>', text) == [(str(k), "10") for k in range(10)]


def test_what_classes_and_folders_are_called_is_text(tmp_path: Path) -> None:
    shutil.copytree(trained()[0] / ROOMS, tmp_path / "run")
    config = tmp_path / "run" / "config.json"
    record = json.loads(config.read_text())
    record["dataset"]["class_names"] = ["<script>alert(1)</script>", "a & b"]
    record["dataset"]["name"] = "<b>bold</b>"
    config.write_text(json.dumps(record))
    text = render(RunDir(tmp_path / "run"))
    assert "<script" not in text and "<b>bold" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "a &amp; b" in text


def test_a_run_that_has_just_begun_has_a_page_too(tmp_path: Path) -> None:
    run = RunDir(copy_of_finished_run(tmp_path))
    for path in (run.metrics_file, run.result_file):
        path.unlink()
    for folder in ("samples", "eval"):
        shutil.rmtree(run.path / folder)
    text = render(run, refresh=10)
    assert "step 0 of 8" in text and '<meta http-equiv="refresh" content="10">' in text and "<h2>Curves" not in text


def test_damaged_predictions_are_one_line_and_eval_makes_them_anew(tmp_path: Path) -> None:
    run = RunDir(copy_of_finished_run(tmp_path))
    for content in (b"", b"PK no archive", run.predictions_file(8).read_bytes()[:-30]):
        run.predictions_file(8).write_bytes(content)
        done = call("report", cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert "step_8-predictions.npz: damaged (" in done.stderr and "`eval` writes it anew" in done.stderr
    succeed("eval", cwd=tmp_path)
    succeed("report", "--out", "page.html", cwd=tmp_path)
    assert (tmp_path / "page.html").exists()


def test_report_is_of_a_run_or_of_sweeps(tmp_path: Path) -> None:
    done = call("report", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "sgan: error: runs/latest: no such run directory; train first, or name a run directory with --run\n",
    )
    done = call("report", "--sweep", "sweeps", "--serve", cwd=tmp_path)
    assert done.stderr == "sgan: error: --sweep: has table and plot alone; leave --run, --out, --serve and --port out\n"


def ask(port: int, path: str = "/", host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_a_browser_that_leaves_early_is_no_error() -> None:
    class Gone:
        def write(self, _: bytes) -> None:
            raise BrokenPipeError

    handler = _Handler.__new__(_Handler)
    handler.wfile, handler.request_version, handler.command = Gone(), "HTTP/1.1", "GET"  # type: ignore[assignment]
    handler.requestline = "GET / HTTP/1.1"
    handler._answer(HTTPStatus.OK, "page")


def test_the_page_is_served_on_this_machine_alone_and_follows_the_run(tmp_path: Path) -> None:
    run = copy_of_finished_run(tmp_path)
    with subprocess.Popen(
        command("report", "--serve", "--port", 0), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/ \(Ctrl-C ends it\)\n", line)
            assert found, line
            port = int(found[1])
            status, text = ask(port)
            assert status == 200 and "finished" in text and 'content="10"' in text
            (run / "result.json").unlink()
            assert "step 8 of 8" in ask(port, host=f"localhost:{port}")[1]
            assert ask(port, "/config.json")[0] == ask(port, "/../config.json")[0] == 404
            assert ask(port, host="attacker.example")[0] == 403
            (run / "config.json").unlink()
            assert ask(port)[0] == 503
        finally:
            process.send_signal(2)
        assert process.wait(30) == 0
    taken = call("report", "--serve", "--port", 70000, "--run", RUN, cwd=finished_run()[0])
    assert taken.stderr == "sgan: error: --port: 70000; must be between 0 and 65535\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"serve": True, "out": Path("page.html")}, "--serve: shows the page and writes no file; leave --out out"),
        ({"port": 8000}, "--port: is where --serve listens; give that, too, or leave --port out"),
        ({"sweep": (Path("s"),), "port": 8000}, "--sweep: has table and plot alone; leave "),
    ],
)
def test_flags_of_a_report_that_would_say_nothing_are_refused(flags: dict, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        Report(**flags)()


# --- predictions ---

SHARES = np.array([[0.95, 0.05], [0.85, 0.15], [0.35, 0.65], [0.05, 0.95]])
LABELS = np.array([0, 1, 1, 0], np.int32)
IMAGES = np.arange(16, dtype=np.uint8).reshape(4, 2, 2, 1)


def test_mistakes_are_the_most_confident_first_and_bins_by_hand(tmp_path: Path) -> None:
    made = predictions.collect("test", IMAGES, LABELS, SHARES)
    assert made.mistakes.tolist() == [3, 1]
    np.testing.assert_array_equal(made.pictures, IMAGES[[3, 1]])
    assert made.confusion.tolist() == [[1, 1], [1, 1]]
    bins = predictions.reliability(made)
    assert [(b.images, round(b.confidence, 6), b.accuracy) for b in bins] == [
        (1, 0.65, 1.0),
        (1, 0.85, 0.0),
        (2, 0.95, 0.5),
    ]
    # (0.35 + 0.85 + 2 * 0.45) / 4
    assert predictions.calibration_error(made) == pytest.approx(0.525)
    predictions.save(tmp_path / "p.npz", made)
    for one, other in zip(made, predictions.load(tmp_path / "p.npz"), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(UserError, match=r"none\.npz: not found; `eval` writes it"):
        predictions.load(tmp_path / "none.npz")


def browsed(page: Path) -> tuple[bool, list[str]]:
    """Whether a browser on a phone has anything in its console about a page, and what the page asks the network for."""
    folder = page.parent
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += f" --disable-component-update --disable-sync --user-data-dir={folder}/profile --enable-logging=stderr"
    flags += f" --v=0 --window-size=390,4000 --screenshot={page}.png --log-net-log={folder}/net.json"
    shown = subprocess.run(["chromium", *flags.split(), f"file://{page}"], capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0 and Path(f"{page}.png").stat().st_size > 0
    events = [event.get("params", {}) for event in json.loads((folder / "net.json").read_text())["events"]]
    # The browser asks its maker for news of its own accord; what a page asks for is told with the page's address.
    asked = [str(e["url"]) for e in events if str(e.get("network_isolation_key")).startswith("file:")]
    return "CONSOLE" in shown.stderr, asked


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium here")
def test_a_browser_shows_the_page_without_a_word_or_a_request(tmp_path: Path) -> None:
    copy_of_finished_run(tmp_path)
    succeed("report", "--out", "page.html", cwd=tmp_path)
    said, asked = browsed(tmp_path / "page.html")
    assert not said
    assert [url for url in asked if not url.startswith("file:")] == []
    loud = tmp_path / "loud.html"
    loud.write_text("<script>console.error('x')</script><img src='http://127.0.0.1:9/x.png'>")
    assert browsed(loud) == (True, ["http://127.0.0.1:9/x.png"]), "this test sees both"
