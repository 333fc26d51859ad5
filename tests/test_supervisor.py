"""Worker processes that end by an error are replaced, with a growing pause where they crash at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from supervisor import pause_before


def crew(folder: Path, code: int) -> tuple[subprocess.Popen[bytes], Path]:
    notes = folder / "notes"
    environment = {**os.environ, "NOTES": str(notes), "CODE": str(code)}
    return subprocess.Popen([sys.executable, "-m", "tests.crashers"], env=environment), notes


def test_the_pause_grows_to_half_a_minute() -> None:
    assert [pause_before(crashes) for crashes in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]


def test_one_that_ends_by_an_error_is_replaced_after_a_growing_pause_and_stops_when_asked(
    tmp_path: Path,
) -> None:
    program, notes = crew(tmp_path, 1)
    try:
        deadline = time.monotonic() + 60
        while not notes.exists() or len(notes.read_text().splitlines()) < 3:
            assert program.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        first, second, third = [float(line) for line in notes.read_text().splitlines()][:3]
        assert second - first >= 1
        assert third - second >= 2
        program.send_signal(signal.SIGTERM)
        assert program.wait(20) == 0
    finally:
        program.kill()


def test_settings_that_do_not_suffice_end_it(tmp_path: Path) -> None:
    program, notes = crew(tmp_path, 2)
    assert program.wait(60) == 2
    assert len(notes.read_text().splitlines()) == 1
