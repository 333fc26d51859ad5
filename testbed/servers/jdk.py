"""Java Development Kits on this machine."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Where Debian, Red Hat and macOS put them.
_INSTALLED = ("/usr/lib/jvm/*", "/Library/Java/JavaVirtualMachines/*/Contents/Home")


@dataclass(frozen=True, order=True)
class Jdk:
    """A JDK: `java` and `javac` are in `home`/bin. The higher version is the greater."""

    version: int
    home: Path

    def tool(self, name: str) -> str:
        """The path of one of its programs."""
        return str(self.home / "bin" / name)


def newest_jdk(oldest: int) -> Jdk | None:
    """The newest of JAVA_HOME, PATH and the usual folders, of this major version at least. None is run."""
    return max((jdk for home in _homes() if (jdk := _jdk(home)) and jdk.version >= oldest), default=None)


def _homes() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home)
    if java := shutil.which("java"):
        yield Path(java).resolve().parents[1]
    for pattern in _INSTALLED:
        yield from Path("/").glob(pattern.removeprefix("/"))


def _jdk(home: Path) -> Jdk | None:
    """None for a runtime without compiler, and for macOS's `java`, which only says that there is none."""
    release = home / "release"
    if not (release.is_file() and os.access(home / "bin" / "javac", os.X_OK)):
        return None
    major = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(errors="replace"), re.MULTILINE)
    return Jdk(int(major[1]), home) if major else None
