"""TFDS without TensorFlow and without a network: a server on the loopback stands in for the real hosts."""

import gzip
import hashlib
import http.server
import logging
import sys
import tarfile
import threading
import time
from typing import ClassVar

import numpy as np
import pytest
import requests
import sets
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.download import downloader
from tensorflow_datasets.image_classification import mnist

from sgan_jax.data import cifar, idx, load, svhn, tfds_source
from sgan_jax.data.published import CLASS_NAMES
from sgan_jax.errors import UserError


class Server:
    """Serves files over HTTP. `mode`: "serve", "silent" (accepts and never answers), "stall" (stops half-way)."""

    def __init__(self):
        self.files, self.mode, self.asked, self.closing = {}, "serve", [], threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.answer(body=False)

            def do_GET(self):
                self.answer(body=True)

            def answer(self, body):
                outer.asked.append((self.command, self.path))
                if outer.mode == "silent":
                    outer.closing.wait()
                    return
                content = outer.files.get(self.path.rsplit("/", 1)[1])
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                if body and content:
                    self.wfile.write(content[: len(content) // 2] if outer.mode == "stall" else content)
                    if outer.mode == "stall":
                        self.wfile.flush()
                        outer.closing.wait()

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/sets/"

    def close(self):
        self.closing.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = Server()
    # The addresses point at the loopback, so that no test can reach the real hosts; the checksums are those of TFDS.
    official = tfds_source.registered

    def registered(stock):
        return {made.url + url.rsplit("/", 1)[1]: info for url, info in official(stock).items()}

    monkeypatch.setattr(tfds_source, "registered", registered)
    yield made
    made.close()


@pytest.fixture
def serve(monkeypatch, server):
    """Serves files, and has their checksums in the place of those that TFDS has registered."""

    def serve(paths):
        rules = {}
        for path in paths:
            content = server.files[path.name] = path.read_bytes()
            rules[server.url + path.name] = tfds.download.checksums.UrlInfo(
                size=tfds.core.utils.Size(len(content)),
                checksum=hashlib.sha256(content).hexdigest(),
                filename=path.name,
            )
        monkeypatch.setattr(tfds_source, "registered", lambda stock: rules)

    return serve


@pytest.fixture
def small_rules(monkeypatch, serve, tmp_path, arrays, write_idx):
    """Serves the small arrays, registers their checksums in TFDS, and clears our own record of checksums."""
    serve(write_idx(tmp_path / "served", arrays).values())
    monkeypatch.setattr(idx, "CANONICAL", {})
    return tmp_path / "served"


def nothing_left(cache_dir):
    return not cache_dir.exists() or not [p for p in cache_dir.rglob("*") if p.is_file() or p.name.startswith(".")]


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist"])
def test_a_fetched_set_has_the_contents_of_its_files_and_is_cached(
    server, small_rules, arrays, cache_dir, capfd, monkeypatch, name
):
    before = requests.adapters.HTTPAdapter.send, downloader.MAX_RETRIES
    got = load.load(name)
    from_files = load.load(data_dir=small_rules)
    assert got.name == name and got.notice == ""
    assert got.class_names == tuple(tfds.builder(name, data_dir="x").info.features["label"].names)
    np.testing.assert_array_equal(got.train_images, arrays["train_images"][..., None])
    assert got.digest == from_files.digest  # the order of the files as well
    assert (got.train_images.dtype, got.train_labels.dtype) == (np.uint8, np.int32)
    assert sorted(path for command, path in server.asked if command == "GET") == sorted(
        f"/sets/{file}" for file in server.files
    )
    assert (requests.adapters.HTTPAdapter.send, downloader.MAX_RETRIES) == before
    assert "tensorflow" not in sys.modules
    assert capfd.readouterr().out == ""
    assert [p.name for p in cache_dir.iterdir()] == ["arrays"]

    monkeypatch.setattr(tfds_source, "fetch", lambda name: pytest.fail("the second load went to TFDS"))
    again = load.load(name)
    assert again.known_digest == got.digest and again.class_names == got.class_names
    np.testing.assert_array_equal(again.test_images, got.test_images)


def test_auto_is_mnist_if_the_network_provides_it(small_rules):
    assert load.load().name == "mnist"


def test_a_wrong_byte_from_the_server_is_an_error_and_no_file_remains(server, small_rules, cache_dir):
    for name in sorted(server.files):
        whole = server.files[name]
        packed = bytearray(whole)
        packed[4] ^= 1  # the time stamp: the contents unpack as before, and the checksum still differs
        assert gzip.decompress(packed) == gzip.decompress(whole)
        server.files[name] = bytes(packed)
        with pytest.raises(UserError, match=f"data.dataset mnist: .*{name}, has wrong checksum; ways out") as raised:
            load.load("mnist")
        assert "\n" not in str(raised.value)
        assert nothing_left(cache_dir)
        server.files[name] = whole


def test_the_checksums_of_tfds_refuse_other_files(server, tmp_path, arrays, write_idx, cache_dir):
    """No checksum is replaced here: those that TFDS ships apply, and the small files are not MNIST."""
    assert len(tfds_source.registered(mnist.MNIST)) == 4
    for path in write_idx(tmp_path / "served", arrays).values():
        server.files[path.name] = path.read_bytes()
    with pytest.raises(UserError, match=r"[Cc]hecksum"):
        load.load("mnist")
    assert "GET" in [command for command, path in server.asked]
    assert nothing_left(cache_dir)


def test_contents_that_differ_from_our_checksums_are_refused(small_rules, monkeypatch, cache_dir):
    monkeypatch.setattr(idx, "CANONICAL", {"mnist": {"test_labels": "0" * 64}})
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte\.gz: not the file of mnist"):
        load.load("mnist")
    assert nothing_left(cache_dir)


def _packed(folder, name):
    """An archive as the published ones are: a folder with the files in it."""
    with tarfile.open(folder.parent / name, "w:gz") as archive:
        archive.add(folder, "binary-version")
    return folder.parent / name


FILES = {
    "cifar10": lambda folder: (sets.cifar10(folder), [_packed(folder, "cifar-10-binary.tar.gz")]),
    "cifar100": lambda folder: (sets.cifar100(folder), [_packed(folder, "cifar-100-binary.tar.gz")]),
    "svhn_cropped": lambda folder: (sets.svhn(folder, extra=True), folder.iterdir()),
    "svhn_extra": lambda folder: (sets.svhn(folder, extra=True), folder.iterdir()),
    "stl10": lambda folder: (sets.stl10(folder), [_packed(folder, "stl10_binary.tar.gz")]),
}


@pytest.fixture
def no_record(monkeypatch):
    """Has no checksums of CIFAR-10 and SVHN on record but those of TFDS."""
    monkeypatch.setattr(cifar, "RECORD", {})
    monkeypatch.setattr(svhn, "RECORD", {})


@pytest.mark.parametrize("name", FILES)
def test_sets_of_photographs_are_fetched_without_tensorflow(
    server, serve, no_record, tmp_path, cache_dir, caplog, capfd, name
):
    written, served = FILES[name](tmp_path / "set")
    serve(served)
    got = load.load(name)
    assert "on your word" not in caplog.text
    from_files = load.load(name, tmp_path / "set")
    assert (got.name, got.class_names, got.digest) == (name, CLASS_NAMES[name], from_files.digest)
    np.testing.assert_array_equal(got.test_images, written.test_images)
    np.testing.assert_array_equal(got.train_labels[: sets.TRAIN], written.train_labels)
    asked = [path for command, path in server.asked if command == "GET"]
    used = [file for file in server.files if name == "svhn_extra" or "extra" not in file]
    assert sorted(asked) == sorted(f"/sets/{file}" for file in used)
    assert (cache_dir / "arrays" / name / "dataset.json").exists()
    assert [path.name for path in cache_dir.iterdir()] == ["arrays"]
    assert "tensorflow" not in sys.modules and capfd.readouterr().out == ""


@pytest.mark.parametrize("name", FILES)
def test_the_checksums_of_tfds_refuse_other_files_of_photographs(server, no_record, tmp_path, cache_dir, name):
    """No checksum is replaced here: those that TFDS ships apply."""
    for path in FILES[name](tmp_path / "set")[1]:
        server.files[path.name] = path.read_bytes()
    way = "data.data_dir DIR with .*files, or a network connection"
    with pytest.raises(UserError, match=f"data.dataset {name}: .*wrong checksum; ways out: {way}") as raised:
        load.load(name)
    assert "\n" not in str(raised.value) and nothing_left(cache_dir)
    assert "GET" in [command for command, path in server.asked]


def test_contents_that_differ_from_the_record_of_cifar10_are_refused(serve, tmp_path, cache_dir):
    serve(FILES["cifar10"](tmp_path / "set")[1])
    with pytest.raises(UserError, match=r"data_batch_1\.bin: not the file of cifar10"):
        load.load("cifar10")
    assert nothing_left(cache_dir)


def test_an_archive_writes_nowhere_else(serve, no_record, tmp_path, cache_dir):
    sets.cifar10(tmp_path / "set")
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for path in (tmp_path / "set").iterdir():
            archive.add(path, f"../../{path.name}")
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    serve([tmp_path / "cifar-10-binary.tar.gz"])
    assert len(load.load("cifar10").train_images) == sets.TRAIN
    assert [path.name for path in cache_dir.iterdir()] == ["arrays"]


def _down(server):
    server.close()


def _missing(server):
    del server.files["t10k-labels-idx1-ubyte.gz"]


def _mode(mode):
    return lambda server: setattr(server, "mode", mode)


TROUBLE = {
    "nobody listens": (_down, {}, "cannot reach 127.0.0.1:.*refused"),
    "takes the connection, never answers": (_mode("silent"), {"PROBE_SECONDS": 0.3}, "cannot reach 127.0.0.1:.*"),
    "stops in the middle of a file": (_mode("stall"), {"STALL_SECONDS": 0.3}, "timed out"),
    "a file is missing": (_missing, {}, "HTTP code: 404"),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_a_failing_network_is_an_error_within_seconds_and_auto_falls_back(
    server, small_rules, monkeypatch, caplog, cache_dir, case
):
    trouble, deadlines, reason = TROUBLE[case]
    for name, seconds in deadlines.items():
        monkeypatch.setattr(tfds_source, name, seconds)
    trouble(server)
    start = time.monotonic()
    with pytest.raises(UserError, match=f"data.dataset mnist: .*{reason}") as raised:
        load.load("mnist")
    for way in ("data.data_dir DIR", "data.dataset auto", "data.dataset mnist-5k"):
        assert way in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not caplog.messages
    with pytest.raises(UserError, match=r"data.dataset kmnist: .*data.data_dir DIR"):
        load.load("kmnist")
    with caplog.at_level(logging.WARNING):
        got = load.load()
    assert (got.name, got.notice) == ("mnist-5k", "mnist-5k: not comparable with MNIST")
    assert len(caplog.messages) == 1 and "5,000 digits" in caplog.text
    assert time.monotonic() - start < 15  # three attempts
    assert nothing_left(cache_dir)


def test_a_hanging_name_look_up_is_abandoned(monkeypatch):
    monkeypatch.setattr(requests, "head", lambda *args, **kwargs: time.sleep(3))
    start = time.monotonic()
    with pytest.raises(UserError, match=r"cannot reach example.invalid \(no answer within 0.2 s\)"):
        tfds_source.probe("http://example.invalid/file", 0.2)
    assert time.monotonic() - start < 2


def test_the_proxy_of_the_environment_is_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    tfds_source.probe("http://example.invalid/some/file", 5.0)
    assert server.asked == [("HEAD", "http://example.invalid/some/file")]


def test_an_unwritable_cache_is_a_warning(small_rules, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING):
        assert load.load("mnist").name == "mnist"
    assert len(caplog.messages) == 1 and "cache cannot be written" in caplog.text


class SganTinyRgb(tfds.core.GeneratorBasedBuilder):
    """A set with a builder of its own: 8 x 8 colour images in three classes."""

    VERSION = tfds.core.Version("1.0.0")
    splits: ClassVar = {"train": (6, 0), "test": (3, 1)}

    def _info(self):
        features = {
            "picture": tfds.features.Image(shape=(8, 8, 3)),
            "kind": tfds.features.ClassLabel(names=["cat", "dog", "eel"]),
        }
        keys = ("picture", "kind")
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=keys)

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(*args) for part, args in self.splits.items()}

    def _generate_examples(self, count, shift):
        for i in range(count):
            yield i, {"picture": Image.new("RGB", (8, 8), (i + shift, 100, 200)), "kind": (i + shift) % 3}


def test_any_image_classification_set_of_tfds_loads_by_name(cache_dir):
    got = load.load("sgan_tiny_rgb")
    assert (got.name, got.class_names) == ("sgan_tiny_rgb", ("cat", "dog", "eel"))
    assert got.train_images.shape == (6, 8, 8, 3) and got.test_images.shape == (3, 8, 8, 3)
    for part, shift in (("train", 0), ("test", 1)):
        red = getattr(got, f"{part}_images")[:, 0, 0, 0].astype(int)
        assert sorted(red) == list(range(shift, shift + len(red)))
        np.testing.assert_array_equal(getattr(got, f"{part}_labels"), red % 3)
    assert (cache_dir / "arrays" / "sgan_tiny_rgb" / "dataset.json").exists()


def test_a_set_without_a_test_split_is_an_error_that_lists_its_splits(monkeypatch, cache_dir):
    monkeypatch.setattr(SganTinyRgb, "splits", {"train": (6, 0), "validation": (3, 0)})
    with pytest.raises(UserError, match=r"data.dataset sgan_tiny_rgb: no split test \(it has train, validation\)"):
        load.load("sgan_tiny_rgb")
    assert nothing_left(cache_dir)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnits", r"unknown data set; did you mean mnist\? expected auto, mnist, .*, cifar10, .*, mnist-5k, or"),
        ("zzzzzz", "unknown data set; expected auto"),
        ("../../etc", "unknown data set; expected auto"),
        ("", "unknown data set; expected auto"),
        ("emnist/nope", "unknown configuration; expected emnist/byclass, .*emnist/letters"),
        ("cifar10/nope", "unknown configuration; expected cifar10"),
        ("..", "unknown data set"),
        ("cats_vs_dogs", r"expected grey or RGB uint8 images of one size.*\(None, None, 3\)"),
        ("ag_news_subset", "expected an image classification set"),
    ],
)
def test_errors_of_unusable_names(cache_dir, name, message):
    with pytest.raises(UserError, match=f"data.dataset {name}: .*{message}") as raised:
        load.load(name)
    assert "\n" not in str(raised.value)
    assert nothing_left(cache_dir)


def test_a_set_that_needs_tensorflow_names_the_extra(monkeypatch):
    find_spec = tfds_source.importlib.util.find_spec
    monkeypatch.setattr(
        tfds_source.importlib.util, "find_spec", lambda name: None if name == "tensorflow" else find_spec(name)
    )
    with pytest.raises(UserError, match=r"data.dataset cifar10_1: .*extra \[tfds\].* or one of mnist, .*, stl10$"):
        load.load("cifar10_1")
