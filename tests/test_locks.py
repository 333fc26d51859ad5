"""Every Python package that is installed is pinned, as pyproject.toml allows, with its hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = {"demo": ROOT / "requirements-demo.lock", "dev": ROOT / "requirements.lock"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned(lock: Path) -> dict[str, str]:
    """Versions by name."""
    return dict(re.findall(r"^(\S+?)==(\S+)", lock.read_text(), re.M))


#: Lists of jars, as `sha256sum` writes them; the others are pip's.
JARS = sorted((ROOT / "testbed/servers").glob("opensearch-*.lock"))
WHEELS = [*LOCKS.values(), *sorted(set((ROOT / "testbed/servers").glob("*.lock")) - set(JARS))]


@pytest.mark.parametrize("lock", JARS, ids=lambda p: p.name)
def test_no_jar_is_without_a_hash(lock: Path) -> None:
    lines = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 10
    assert [line for line in lines if not re.fullmatch(r"[0-9a-f]{64}  \S+\.jar", line)] == []


@pytest.mark.parametrize("lock", WHEELS, ids=lambda p: p.name)
def test_nothing_is_without_a_hash(lock: Path) -> None:
    entries = re.split(r"^(?=[a-zA-Z])", re.sub(r"^\s*#.*\n", "", lock.read_text(), flags=re.M), flags=re.M)
    assert len(entries) > 1
    assert [entry for entry in entries[1:] if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("extra", ["demo", "dev"])
def test_a_lock_has_what_the_project_asks_for(extra: str) -> None:
    versions = pinned(LOCKS[extra])
    asked = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["demo"]
    asked += PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, asked):
        name = canonicalize_name(requirement.name)
        if name != PROJECT["name"]:
            assert requirement.specifier.contains(versions[name]), requirement


def test_the_demo_runs_on_the_versions_that_are_tested() -> None:
    demo, dev = map(pinned, (LOCKS["demo"], LOCKS["dev"]))
    assert demo.items() <= dev.items()
