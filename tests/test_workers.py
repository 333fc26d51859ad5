"""Worker processes as the demo, the tests and the measurements start them: none is left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from testbed.processes import ServerUnavailable
from testbed.workers import Workers

SLEEPERS = ("-m", "tests.sleepers")


def workers(folder: Path, *command: str) -> Workers:
    return Workers({**os.environ, "REINDEXER_PROCESSES": "2"}, folder / "worker.log", command)


def gone(pids: Iterable[int], seconds: float = 10) -> bool:
    """Whether these processes have ended; a zombie that no one has asked for yet has."""
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if _alive(pid)]:
        if time.monotonic() > deadline:
            return not left
        time.sleep(0.05)
    return True


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_they_come_up_are_replaced_one_by_one_killed_together_and_started_again(tmp_path: Path) -> None:
    with workers(tmp_path, *SLEEPERS) as crew:
        first = crew.come_up()
        assert len(first) == 2
        crew.kill_one()
        assert gone(first[:1])
        assert first[1] in crew.come_up()
        crew.kill()
        assert not crew.running
        assert gone(first)
        crew.start()
        assert not set(crew.come_up()) & set(first)
        assert crew.stop() == 0
        assert not crew.running


def test_they_end_with_the_block_also_when_it_fails(tmp_path: Path) -> None:
    crew = workers(tmp_path, *SLEEPERS)

    def fail() -> None:
        with crew:
            pids.extend(crew.come_up())
            raise ZeroDivisionError

    pids: list[int] = []
    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(pids) == 2
    assert gone(pids)
    assert not crew.running


def test_those_that_do_not_come_up_say_why(tmp_path: Path) -> None:
    with (
        workers(tmp_path, "-c", "raise SystemExit('no such folder')") as crew,
        pytest.raises(ServerUnavailable, match=r"The workers did not start[\s\S]*no such folder"),
    ):
        crew.come_up()
