"""The commands of README and docs, run as written: on this machine's servers, against a table called orders."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reindexer.dynamo.client import make_client
from reindexer.models import JobInput
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.stack import Stack
from tests import cli
from tests.stack import CHECKOUT
from tests.tables import Table, create_table

README = CHECKOUT / "README.md"
PAGES = [
    README,
    CHECKOUT / "CONTRIBUTING.md",
    CHECKOUT / "CHANGELOG.md",
    *sorted((CHECKOUT / "docs").glob("*.md")),
]
#: What a shell does something about; a command without any of it needs none.
FOR_A_SHELL = set("|&;<>$*?~`")
#: Answers slow enough for a job of 3,000 records to be paused and limited before it ends.
SLOW = FaultPlan(faults=(Fault(kind=FaultKind.SLOW, seconds=0.1, operations="writes"),))


def commands(page: Path) -> list[str]:
    """Every command of the page's `sh` blocks, without its comment."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.S)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


Shell = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def served(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell with `temporal` and `reindexer` on PATH, and workers on the default queue."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "temporal").symlink_to(stack.temporal.cli)
    reindexer = folder / "reindexer"
    reindexer.write_text(f'#!/bin/sh\nexec {sys.executable} {CHECKOUT}/starter.py "$@"\n')
    reindexer.chmod(0o755)
    path = f"{folder}{os.pathsep}{stack.environment['PATH']}"
    own = stack.beside("reindexer", {"PATH": path})

    def run(command: str) -> subprocess.CompletedProcess[str]:
        program, *arguments = shlex.split(command)
        if program == "reindexer" and not FOR_A_SHELL & set(command):
            return subprocess.CompletedProcess(command, *cli.command(own.environment, *arguments))
        return subprocess.run(
            command,
            shell=True,
            cwd=CHECKOUT,
            env=own.environment,
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )

    with own.workers:
        until = time.monotonic() + 60  # seconds; a worker polls a few after its start, on a busy machine
        while run("reindexer doctor").returncode and time.monotonic() < until:
            time.sleep(1)
        yield run


@pytest.fixture
def shell(quiet: Stack, served: Shell, make_table: Callable[..., Table]) -> Shell:
    """The same with a table `orders`, and slow writes."""
    make_table(name="orders").fill(3000)
    quiet.proxy.set_plan(SLOW)
    return served


def test_every_command_for_ones_own_table_works_as_written(stack: Stack, shell: Shell) -> None:
    seen = []
    for command in commands(README):
        if command.startswith(("make ", "python worker.py")):
            continue  # the first are looked at below, the second runs already
        if command.startswith("reindexer watch"):
            stack.proxy.set_plan(FaultPlan())  # to the end, then
        if command.startswith("temporal workflow start"):
            stack.proxy.set_plan(SLOW)
        if command == "reindexer start orders":
            assert shell("reindexer watch reindex-orders").returncode == 0  # the sample before it has to end
        # A person answers the question that there is no terminal for here.
        done = shell(f"{command} --yes" if command.startswith("reindexer start") else command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        seen.append(command.split()[0])
    assert seen.count("reindexer") >= 5
    assert seen.count("temporal") >= 5


#: Commands of operators' documents that end with another exit code than 0, and why.
ELSE = {
    "reindexer resume reindex-orders --code HASH": 2,  # HASH stands for digits
    "reindexer report reindex-orders": 1,  # the job was terminated before
    "reindexer status reindex-orders": 3,  # not finished
    "reindexer status reindex-orders --json": 3,
}


@pytest.mark.parametrize(
    "page",
    [
        "runbook.md",
        *(
            pytest.param(page, marks=pytest.mark.nightly)
            for page in ("cost.md", "production-traffic.md", "upgrading.md")
        ),
    ],
)
def test_every_command_for_operators_works_as_written(shell: Shell, page: str) -> None:
    """On a running job with a record that cannot be written."""
    make_client().put_item(TableName="orders", Item={"id": {"S": "odd"}, "reindexVersion": {"S": "x"}})
    shell("temporal workflow terminate -w reindex-orders")  # another test's
    if page == "cost.md":
        for name in ("orders-copy", "orders-eu"):
            create_table(make_client(), name=name)
    asked = commands(CHECKOUT / "docs" / page)
    if not any(command.startswith("reindexer start") for command in asked[:3]):
        assert shell("reindexer start orders --records-per-second 10 --yes").returncode == 0
    for command in asked:
        if command == "reindexer report reindex-orders":
            assert shell("temporal workflow terminate -w reindex-orders").returncode == 0
        yes = " --yes" if command.startswith("reindexer start") and "--yes" not in command else ""
        done = shell(f"{command}{yes}")
        assert done.returncode == ELSE.get(command, 0), f"{command}\n{done.stdout}\n{done.stderr}"
    shell("temporal workflow terminate -w reindex-orders")


def test_every_make_target_that_is_named_exists() -> None:
    for page in PAGES:
        for command in commands(page):
            if command.startswith("make "):
                done = subprocess.run(["make", "-n", *command.split()[1:2]], cwd=CHECKOUT, capture_output=True)
                assert done.returncode == 0, command


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_input_of_the_docs_is_valid_and_whole() -> None:
    text = (CHECKOUT / "docs" / "input.md").read_text()
    example = re.search(r"```json\n(.*?)```", text, re.S)
    assert example is not None
    assert JobInput.model_validate_json(example[1]).table == "orders"
    assert set(JobInput.model_fields) == set(json.loads(example[1]))
