"""What documents tell a reader to type works as written."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from outer import ROOT, connected, environment

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def commands(page: Path) -> list[str]:
    """The lines of a page that are typed in a shell: indented, and beginning with a launcher."""
    lines = [line.strip() for line in page.read_text().splitlines() if line.startswith("    ")]
    return [re.sub(r"\s+#.*", "", line) for line in lines if line.startswith("bin/")]


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


def test_every_page_is_found_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in ROOT.glob("docs/*.*"):
        if page.suffix in (".md", ".ipynb"):
            assert f"docs/{page.name}" in readme, page.name


@pytest.mark.slow
def test_the_path_from_a_folder_to_a_file_for_elsewhere_works_as_written(tmp_path: Path) -> None:
    typed = [line for line in commands(ROOT / "docs" / "own-images.md") if "--serve" not in line]
    assert [line.split()[0] for line in typed] == [
        "bin/_python",
        "bin/data",
        "bin/train",
        "bin/report",
        "bin/predict",
        "bin/predict",
        "bin/export",
    ]
    for line in typed:
        here = re.sub(r"(?<!\S)(bin|examples)/", rf"{ROOT}/\1/", line)  # the commands of this tree, files of their own
        done = subprocess.run(
            here, shell=True, cwd=tmp_path, env=environment(XLA_FLAGS=""), capture_output=True, text=True
        )
        print(done.stdout[-400:])
        assert done.returncode == 0, (line, done.stdout[-2000:], done.stderr)
        if "digits/test/7" in line:
            said = [row.split()[0] for row in done.stdout.splitlines()]
            assert len(said) == 100 and said.count("7") >= 85
    for file in ("digits.onnx", "classes.csv", "runs/digits/report.html"):
        assert (tmp_path / file).stat().st_size > 10_000
    assert len((tmp_path / "classes.csv").read_text().splitlines()) == 3901


def test_the_notebook_runs_from_beginning_to_end(tmp_path: Path) -> None:
    cells = json.loads((ROOT / "docs" / "tour.ipynb").read_text())["cells"]
    program = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment(XLA_FLAGS=""), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    alone, together = (float(share) for share in re.findall(r"(\d+\.\d)% ?", done.stdout)[-2:])
    assert together > alone + 10
    assert "['checkpoints', 'config.json', 'labels.json', 'metrics.jsonl', 'result.json']" in done.stdout


def test_a_wheel_holds_all_that_is_needed_and_works_where_nothing_else_of_the_project_is(tmp_path: Path) -> None:
    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, cwd=tmp_path, **options)
        assert done.returncode == 0, (arguments, done.stdout[-1000:], done.stderr[-3000:])
        return done

    source = tmp_path / "source"
    source.mkdir()
    for name in ("sgan_jax", "pyproject.toml", "README.md", "LICENSE"):  # a build leaves files beside what it is of
        run("cp", "-r", ROOT / name, source / name)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, source)
    (wheel,) = tmp_path.glob("sgan_jax-*.whl")
    clean = tmp_path / "clean"
    run(sys.executable, "-m", "venv", clean)
    install = [clean / "bin" / "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel]
    done = subprocess.run(install, capture_output=True, text=True, env=connected())
    if done.returncode and "Failed to establish a new connection" in done.stderr:
        pytest.skip("no package registry answers")
    assert done.returncode == 0, done.stderr
    assert "train" in run(clean / "bin" / "sgan", "--help").stdout
    outer = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"XLA_FLAGS": ""}
    small = ["--dataset", "mnist-5k", "--width", "8", "--batch-size", "4", "--steps", "2", "--run", "run"]
    run(clean / "bin" / "sgan", "train", *small, env=outer)
    run(clean / "bin" / "sgan", "report", "--run", "run", env=outer)
    assert (tmp_path / "run" / "report.html").exists()
    missing = subprocess.run(
        [clean / "bin" / "sgan", "export", "--run", "run"], capture_output=True, text=True, cwd=tmp_path, env=outer
    )
    assert missing.returncode == 2 and "pip install 'sgan-jax[export]'" in missing.stderr
