"""What a reader of the documents types works as written; links lead somewhere; the reference is up to date."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from outer import HOME, ROOT, RUN, copy_of_finished_run, environment, succeed

from sgan_jax.cli.train import resolved
from sgan_jax.config import validate

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "LOG.md"])
PAGES_OF_TODAY = [page for page in PAGES if page.name not in ("LOG.md", "CHANGELOG.md", "BENCHMARKS.md")]


class Block(NamedTuple):
    """A fenced block of code."""

    language: str
    text: str
    remark: str  # of the comment before it: "slow ...", "not run: why" or nothing


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    fences = re.findall(
        r"(?:<!-- ([^\n]*) -->\n)?```(\w+)[^\n]*\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE
    )
    return [Block(language, text, remark) for remark, language, text in fences]


def typed(page: Path, slow: bool) -> list[Block]:
    """What a reader types: blocks for a shell or for Python, without those that are not run, or the slow ones."""
    wanted = [block for block in blocks(page) if block.language in ("bash", "python")]
    return [one for one in wanted if not one.remark.startswith(("not run", *([] if slow else ["slow"])))]


def is_slow(page: Path) -> bool:
    """Whether a block of the page is marked as slow."""
    return any(block.remark.startswith("slow") for block in blocks(page))


@pytest.fixture(scope="module")
def prepared() -> Path:
    """Where a reader is, with the example's images and a short run, which is the newest and has two names."""
    folder = HOME / "reader"
    copy_of_finished_run(folder)
    shutil.copytree(folder / RUN, folder / "runs" / "digits")
    succeed("_python", ROOT / "examples" / "digits_folder.py", "digits", cwd=folder)
    shutil.copy(next((folder / "digits" / "test" / "7").iterdir()), folder / "photo.png")
    return folder


def follow(page: Path, folder: Path, slow: bool) -> str:
    """Types the blocks of a page in order; returns what they print."""
    printed = ""
    python = "".join(block.text for block in typed(page, slow) if block.language == "python")
    here = re.compile(r"(?<!\S)(bin|examples)/")  # the commands of this tree, files of their own
    shell = [here.sub(rf"{ROOT}/\1/", block.text) for block in typed(page, slow) if block.language == "bash"]
    programs = [["bash", "-e", "-c", text] for text in shell] + ([[sys.executable, "-c", python]] if python else [])
    for program in programs:
        settings = environment(XLA_FLAGS="") if slow else environment()
        done = subprocess.run(program, cwd=folder, env=settings, capture_output=True, text=True, timeout=3000)
        assert done.returncode == 0, (program[-1], done.stdout[-2000:], done.stderr[-3000:])
        printed += done.stdout
    return printed


def marked(page: Path) -> Any:
    """The page as a parameter: those whose commands take over five seconds together are slow."""
    long = page.name in ("export.md", "generator.md", "predict.md", "watching.md")
    return pytest.param(page, id=page.name, marks=[pytest.mark.slow] * long)


@pytest.mark.parametrize("page", [marked(page) for page in PAGES if typed(page, slow=False)])
def test_the_quick_commands_of_a_page_work_as_written(page: Path, prepared: Path) -> None:
    follow(page, prepared, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if is_slow(page)], ids=lambda page: page.name)
def test_all_commands_of_a_page_work_as_written(page: Path, tmp_path: Path) -> None:
    printed = follow(page, tmp_path, slow=True)
    sevens = re.findall(r"^(\d) +\d+\.\d\d%  digits/test/7/", printed, re.MULTILINE)
    assert not sevens or (len(sevens) == 100 and sevens.count("7") >= 85)
    if page.name == "custom-images.md":
        assert (tmp_path / "digits.onnx").stat().st_size > 10_000
        assert len((tmp_path / "classes.csv").read_text().splitlines()) == 3901


@pytest.mark.slow
def test_the_site_has_no_dead_link(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "-d", tmp_path / "site"]
    done = subprocess.run(build, cwd=ROOT, env=environment(NO_MKDOCS_2_WARNING="1"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "SGANClassifier" in (tmp_path / "site" / "api" / "sgan_jax.inference.estimator.html").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), f"{page.name}: {target}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in anchors, f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_launcher_that_is_named_is_there(page: Path) -> None:
    for name in set(re.findall(r"(?<![\w/.-])bin/(\w+)", page.read_text())):
        assert os.access(ROOT / "bin" / name, os.X_OK), f"{page.name}: bin/{name}"


@pytest.mark.parametrize("page", PAGES_OF_TODAY, ids=lambda page: page.name)
def test_every_source_file_that_is_named_is_there(page: Path) -> None:
    for name in set(re.findall(r"`((?:\w+/)+\w+\.py)`", page.read_text())):
        assert any((top / name).exists() for top in (ROOT, ROOT / "sgan_jax")), f"{page.name}: {name}"


def test_the_example_of_a_file_of_settings_is_one(tmp_path: Path) -> None:
    (example,) = [block.text for block in blocks(ROOT / "docs" / "reference.md") if block.language == "toml"]
    (tmp_path / "small.toml").write_text(example)
    config = resolved({"seed": 1}, tmp_path / "small.toml")
    validate(config)
    assert (config.preset, config.seed, config.model.width, config.augment.extra) == ("fast", 1, 32, ("mirror",))


def test_every_page_is_found_from_the_readme_or_the_first_page() -> None:
    linked = (ROOT / "README.md").read_text() + (ROOT / "docs" / "index.md").read_text().replace("](", "](docs/")
    for page in ROOT.glob("docs/*.*"):
        if page.suffix in (".md", ".ipynb") and page.name != "index.md":
            assert f"docs/{page.name}" in linked, page.name


def test_the_reference_has_the_flags_of_today() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "flags.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_notebook_runs_from_beginning_to_end(tmp_path: Path) -> None:
    cells = json.loads((ROOT / "docs" / "tour.ipynb").read_text())["cells"]
    program = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment(XLA_FLAGS=""), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    labels_only, all_images = map(float, re.findall(r"(\d+\.\d)% of the test images", done.stdout))
    assert all_images > labels_only + 10
    assert "['checkpoints', 'config.json', 'labels.json', 'metrics.jsonl', 'result.json']" in done.stdout
