"""Packages with jobs, put where Python finds installed packages, as an installer leaves them."""

from __future__ import annotations

from pathlib import Path


def install(site: Path, modules: dict[str, str], entries: dict[str, str], package: str = "acme_jobs") -> Path:
    """A package with these modules and entry points (name → "package.module") in a folder of packages."""
    home = site / package
    home.mkdir(parents=True)
    (home / "__init__.py").touch()
    for name, text in modules.items():
        (home / f"{name}.py").write_text(text)
    about = site / f"{package}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    listed = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (about / "entry_points.txt").write_text(f"[reindexer.jobs]\n{listed}")
    return site
