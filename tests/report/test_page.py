"""The page of a run: what it shows, that it needs nothing else, and who may see it."""

import html
import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from outer import NOTICE, STEPS, command, copy_of_finished_run, environment, succeed

from sgan_jax.cli.report import Report
from sgan_jax.config import Config, to_json
from sgan_jax.errors import UserError
from sgan_jax.metrics.names import MEANINGS
from sgan_jax.metrics.subsets import Subset
from sgan_jax.report import pictures
from sgan_jax.report.page import render
from sgan_jax.report.serve import PageServer, _Handler, page_server
from sgan_jax.runs import predictions
from sgan_jax.runs.directory import RunDir

Does = Callable[..., str]

VOID = {"meta", "link", "img", "br"}
SIDE = 28
FILES = ("stop/0.png", "stop/1.png", "go/2.png", "go/<3>.png")
PROBABILITIES = np.array([[0.95, 0.05], [0.85, 0.15], [0.35, 0.65], [0.05, 0.95]])
LABELS = np.array([0, 1, 1, 0], np.int32)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run of two classes as training leaves it, written by hand: two epochs of four steps."""
    run, images = RunDir(tmp_path / "run"), np.arange(4 * SIDE**2, dtype=np.uint8).reshape(4, SIDE, SIDE, 1)
    run.path.mkdir()
    dataset = {
        "name": "signs",
        "digest": "0" * 64,
        "notice": "",
        "train": 40,
        "test": 4,
        "image_shape": [SIDE, SIDE, 1],
    }
    dataset |= {"class_names": ["stop", "go"], "labels_per_class": [3, 4]}
    config = to_json(Config(steps_per_epoch=4, epochs=2))
    record = {"config": config, "dataset": dataset, "versions": {"jax": "1"}, "device": {"kind": "cpu"}}
    run.config_file.write_text(json.dumps(record))
    for step in (4, 8):
        line = {
            "step": step,
            "seconds": step / 2,
            "test_accuracy": 0.5,
            "train_accuracy": 0.75,
            "d/supervised": 1 / step,
        }
        run.log(line)
        pictures.save_grid(images, run.sample_file(step))
        predictions.save(
            run.predictions_file(step), predictions.collect("test", Subset(images, LABELS, FILES), PROBABILITIES)
        )
    run.result_file.write_text(json.dumps({"step": 8}))
    return run


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


def test_the_page_of_a_run_shows_all_of_it_and_refers_to_nothing_outside(tmp_path: Path, does: Does) -> None:
    run = copy_of_finished_run(tmp_path)
    assert does("report") == f"{run.resolve()}/report.html\n"
    text = (run / "report.html").read_text()
    page = Page(text)
    assert page.open == [], "every element is closed"
    assert all(reference.startswith(("data:", "#")) for reference in page.refers)
    assert "<script" not in text
    assert text.count("data:image/png;base64,") >= len(STEPS) + 1
    result = json.loads((run / "result.json").read_text())
    for part in (
        NOTICE,
        f"{100 * result['test_accuracy']:.1f} %",
        "100 of 4,000 training images (2.5 %) with their label",
        "finished",
        "Expected calibration error",
        "The most confident mistakes",
        "train --dataset mnist-5k",
        "step 8",
    ):
        assert part in html.unescape(text), part
    assert re.findall(r'<td>(\d)</td><td class="number">(\d+)</td></tr>', text) == [(str(k), "10") for k in range(10)]
    figures = r'<td>(\d)</td><td class="number">100</td>(?:<td class="number">(?:\d+\.\d %|-)</td>){3}</tr>'
    assert re.findall(figures, text) == [str(k) for k in range(10)]


def test_names_of_classes_and_folders_are_text(run: RunDir) -> None:
    record = json.loads(run.config_file.read_text())
    record["dataset"] |= {"class_names": ["<script>alert(1)</script>", "a & b"], "name": "<b>bold</b>"}
    run.config_file.write_text(json.dumps(record))
    text = render(run)
    assert "<script" not in text and "<b>bold" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "a &amp; b" in text


def test_a_run_that_has_just_begun_has_a_page_too(run: RunDir) -> None:
    for path in (run.metrics_file, run.result_file):
        path.unlink()
    for folder in ("samples", "eval"):
        shutil.rmtree(run.path / folder)
    text = render(run, refresh=10)
    assert "step 0 of 8" in text and '<meta http-equiv="refresh" content="10">' in text and "<h2>Curves" not in text


def figures_of(run: RunDir) -> list[tuple[str, str, str]]:
    """Name, value and what stands below, of the figures at the top of the page."""
    found = re.findall(r'<li>([^<]*)<b>([^<]*)</b>(?:<span class="muted">([^<]*)</span>)?</li>', render(run))
    return [tuple(map(html.unescape, figure)) for figure in found]


def test_a_page_shows_the_newest_measures_in_their_units(run: RunDir) -> None:
    assert "<li>test<b>50.00 %</b></li>" in render(run)
    units = {"test_accuracy": "%", "frechet_distance": "", "code_length": "bits"}
    images = {"test_accuracy": 4000, "code_length": 1}
    run.log(
        {
            "step": 8,
            "units": units,
            "images": images,
            "test_accuracy": 0.98765,
            "frechet_distance": 12.345,
            "code_length": 0.5,
        }
    )
    figures = figures_of(run)
    assert (figures[:4]) == [
        ("test", "98.77 %", "of 4,000 images"),
        ("train", "75.00 %", ""),
        ("frechet distance", "12.3", ""),
        ("code length", "0.5 bits", "of 1 image"),
    ]


def test_a_page_explains_each_term_of_the_losses(run: RunDir) -> None:
    run.log(
        {"step": 8, "d/supervised": 0.125, "g/fool": 2.0, "d/new": 3.0, "d/accuracy": 0.5, "watched": ["d/accuracy"]}
    )
    rows = re.findall(r'<td class="name">(.*?)</td><td class="number">(.*?)</td><td>(.*?)</td>', render(run))
    assert [row[:2] for row in rows] == [("d supervised", "0.125"), ("g fool", "2"), ("d new", "3")]
    assert html.unescape(rows[0][2]) == MEANINGS["d/supervised"] and rows[2][2] == ""


@pytest.mark.parametrize(
    ("test", "validation", "text"),
    [(4, 0, ""), (0, 2, "There are no test images: the figures on validation"), (0, 0, "x_test and y_test of arrays")],
)
def test_without_test_images_a_page_tells_what_to_do(run: RunDir, test: int, validation: int, text: str) -> None:
    record = json.loads(run.config_file.read_text())
    record["dataset"]["test"] = test
    record["config"]["data"] |= {"validation": validation, "labels": 7}
    run.config_file.write_text(json.dumps(record))
    page = render(run)
    assert text in page and ("There are no test images" in page) == (not test)


@pytest.mark.parametrize(
    ("objective", "noted"), [("tutorial", False), ("feature_matching", True), ("supervised", True)]
)
def test_a_page_tells_where_the_generator_is_not_made_for_drawing(run: RunDir, objective: str, noted: bool) -> None:
    record = json.loads(run.config_file.read_text())
    record["config"]["objective"]["name"] = objective
    run.config_file.write_text(json.dumps(record))
    page = render(run)
    assert ("For generated pictures take the preset tutorial or fast" in page) == noted
    assert ('alt="generated images' in page) == (objective != "supervised"), "noise is not shown"


def test_a_run_of_one_epoch_has_figures_and_terms_and_no_chart(run: RunDir) -> None:
    first = run.metrics_file.read_text().splitlines(keepends=True)[0]
    run.metrics_file.write_text(first)
    page = render(run)
    assert "<h2>Curves" not in page and ("test", "50.00 %", "") in figures_of(run) and "d supervised" in page


def test_pixels_of_images_on_a_page_are_equally_large(run: RunDir) -> None:
    text = render(run)
    grids = re.findall(r'<img src="[^"]*" width="(\d+)" alt="generated', text)
    # Four images in a row, each 28 pixels wide after halving the file's 56, and five gaps of one pixel.
    assert grids == [str(4 * SIDE + 5)] * 2
    mistakes = re.findall(r'<img src="[^"]*" width="(\d+)" alt="image', text)
    assert mistakes and all(int(width) % SIDE == 0 for width in mistakes)


def test_mistakes_name_their_files(run: RunDir) -> None:
    captions = re.findall(r"<figcaption>(.*?): predicted", render(run))
    assert [html.unescape(caption) for caption in captions] == ["go/<3>.png", "stop/1.png"]


def test_damaged_predictions_are_an_error_of_one_line(run: RunDir) -> None:
    for content in (b"", b"PK no archive", run.predictions_file(8).read_bytes()[:-30]):
        run.predictions_file(8).write_bytes(content)
        with pytest.raises(
            UserError, match=r"step_8-predictions\.npz: damaged \(.*\); `eval` writes it anew$"
        ) as caught:
            render(run)
        assert "\n" not in str(caught.value)


def test_eval_replaces_damaged_predictions(tmp_path: Path, does: Does, fails: Does) -> None:
    run = RunDir(copy_of_finished_run(tmp_path))
    run.predictions_file(8).write_bytes(b"")
    assert "damaged" in fails("report")
    does("eval")
    does("report", "--out", "page.html")
    assert (tmp_path / "page.html").exists()


def test_a_report_of_a_run_that_is_missing_is_one_line(fails: Does) -> None:
    message = "runs/latest: no such run directory; train first, or name a run directory with --run"
    assert fails("report") == message


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


@pytest.fixture
def server(run: RunDir) -> Iterator[PageServer]:
    """The page of the run by hand, served."""
    with page_server(run.path, 0) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_page_is_served_on_this_machine_alone_and_follows_the_run(run: RunDir, server: PageServer) -> None:
    port = server.server_address[1]
    assert server.url == f"http://127.0.0.1:{port}/"
    status, text = ask(port)
    assert status == 200 and "finished" in text and 'content="10"' in text
    run.result_file.unlink()
    assert "step 8 of 8" in ask(port, host=f"localhost:{port}")[1]
    assert ask(port, "/config.json")[0] == ask(port, "/../config.json")[0] == 404
    assert ask(port, host="attacker.example")[0] == 403
    run.config_file.unlink()
    assert ask(port)[0] == 503


def test_a_port_out_of_range_and_one_in_use_are_errors(run: RunDir, server: PageServer) -> None:
    with pytest.raises(UserError, match=r"^port: 70000; must be between 0 and 65535$"):
        page_server(run.path, 70000)
    with pytest.raises(UserError, match=rf"^port {server.server_address[1]}: not available \("):
        page_server(run.path, server.server_address[1])


def test_the_command_prints_where_it_serves_and_ends_with_ctrl_c(run: RunDir) -> None:
    with subprocess.Popen(
        command("report", "--serve", "--port", 0, "--run", run.path),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert (match := re.fullmatch(r"http://127\.0\.0\.1:(\d+)/ \(Ctrl-C ends it\)\n", line)), line
            assert ask(int(match[1]), "/other")[0] == 404
        finally:
            process.send_signal(2)
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"serve": True, "out": Path("page.html")}, "serve: shows the page and writes no file; leave out out"),
        ({"port": 8000}, "port: is where serve listens; give that, too, or leave port out"),
        ({"sweep": (Path("s"),), "port": 8000}, "sweep: makes only a table and a plot; leave "),
        ({"sweep": (Path("s"),), "serve": True}, "sweep: makes only a table and a plot; leave "),
    ],
)
def test_flags_of_a_report_that_exclude_one_another_are_errors(flags: dict, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        Report(**flags)()


def browsed(page: Path) -> tuple[bool, list[str]]:
    """Whether a browser on a phone has anything in its console about a page, and what the page asks the network for."""
    folder = page.parent
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += f" --disable-component-update --disable-sync --user-data-dir={folder}/profile --enable-logging=stderr"
    flags += f" --v=0 --window-size=390,4000 --screenshot={page}.png --log-net-log={folder}/net.json"
    shown = subprocess.run(["chromium", *flags.split(), f"file://{page}"], capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0 and Path(f"{page}.png").stat().st_size > 0
    events = [event.get("params", {}) for event in json.loads((folder / "net.json").read_text())["events"]]
    # The browser asks its maker for updates by itself; a request of the page has the page's address with it.
    asked = [str(e["url"]) for e in events if str(e.get("network_isolation_key")).startswith("file:")]
    return "CONSOLE" in shown.stderr, asked


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium here")
def test_a_browser_shows_the_page_without_a_complaint_or_a_request(tmp_path: Path) -> None:
    copy_of_finished_run(tmp_path)
    succeed("report", "--out", "page.html", cwd=tmp_path)
    complains, asked = browsed(tmp_path / "page.html")
    assert not complains
    assert [url for url in asked if not url.startswith("file:")] == []
    loud = tmp_path / "loud.html"
    loud.write_text("<script>console.error('x')</script><img src='http://127.0.0.1:9/x.png'>")
    assert browsed(loud) == (True, ["http://127.0.0.1:9/x.png"]), "this test sees both"
