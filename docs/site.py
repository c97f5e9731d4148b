"""Adds to the site: documents and examples that lie outside of docs/, and a page of docstrings for every module."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("BENCHMARKS.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/LOG.md")
PACKAGE_GUIDES = tuple(str(path.relative_to(ROOT)) for path in sorted((ROOT / "sgan_jax").rglob("README.md")))
EXAMPLES = tuple(str(path.relative_to(ROOT)) for path in sorted((ROOT / "examples").glob("*.py")))
PICTURES = tuple(str(path.relative_to(ROOT)) for path in sorted((ROOT / "benchmarks").rglob("*.png")))


def modules() -> dict[str, list[str]]:
    """The public modules of each package, by name; those outside of a package under the program's own."""
    by_package: dict[str, list[str]] = {}
    for path in sorted((ROOT / "sgan_jax").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if not parts[-1].startswith("_"):
            by_package.setdefault(".".join(parts[:2]) if len(parts) > 2 else "sgan_jax", []).append(".".join(parts))
    return by_package


def on_config(config: Any) -> Any:
    """Adds the API reference to the navigation."""
    packages = [{package: [f"api/{name}.md" for name in names]} for package, names in modules().items()]
    guides = [{"Guides": [*PACKAGE_GUIDES]}] if PACKAGE_GUIDES else []
    config["nav"] = [*config["nav"], *guides, {"API": packages}]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages."""
    for name in (*DOCUMENTS, *PACKAGE_GUIDES, *EXAMPLES, *PICTURES):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for names in modules().values():
        for name in names:
            files.append(File.generated(config, f"api/{name}.md", content=f"# {name}\n\n::: {name}\n"))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Has links lead to pages of the site: in it docs/ is the top, and beside it lie the other documents."""
    folder = posixpath.dirname(page.file.src_uri)
    inside = page.file.src_uri not in (*DOCUMENTS, *PACKAGE_GUIDES)

    def moved(match: re.Match[str]) -> str:
        target = match[1]
        if "://" in target or target.startswith("#"):
            return match[0]
        place = posixpath.normpath(posixpath.join("docs" if inside else "", folder, target))
        return f"]({posixpath.relpath(place.removeprefix('docs/'), folder or '.')})"

    return re.sub(r"\]\(([^)\s]+)\)", moved, markdown)
