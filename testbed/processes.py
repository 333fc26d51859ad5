"""One server process: start it, wait until it answers, stop it, and leave no orphan, however we end."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

#: Below 32768, where Linux takes clients' own ports from: one that keeps knocking at a closed port up there can
#: connect to itself, and then holds the port when the server wants it back after a restart.
_PORTS = range(15_000, 32_000)
#: Enough of a log to see why, little enough for one screen.
_TAIL_LINES = 15
#: Answers come within milliseconds once a server is up: at 50 ms a start waits little and costs no CPU.
_POLL_SECONDS = 0.05
#: Starts take 0.1 to 3 s; a minute covers a machine that is building something beside it.
PATIENCE_SECONDS = 60.0
#: A server writes down what it has within a second; after ten it hangs.
GRACE_SECONDS = 10.0
#: Where there is no terminal to draw on, a line this often shows that it goes on.
_LINE_EVERY_SECONDS = 30.0

_given_out: set[int] = set()
_console = Console(stderr=True, highlight=False)


class ServerUnavailable(Exception):
    """A server cannot be had or does not come up. The text: one sentence with the way out, then the log's end.

    `log` is the whole log, if there is one.
    """

    def __init__(self, sentence: str, log: Path | None = None) -> None:
        self.log = log
        super().__init__(
            sentence if log is None else f"{sentence} Its log is {log}:\n{tail(log) or '  (empty)'}"
        )


def tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log, indented; "" if there is none."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])


def listening(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(1)  # loopback answers at once; only a stopped process lets us wait
        return client.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A loopback port no one listens on, never the same twice from this process.

    Nothing reserves it: taken at random from a wide range, two processes hardly ever get the same one.
    """
    for _ in range(100):  # a port is taken now and then, not a hundred times in a row
        port = random.choice(_PORTS)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given_out:
                _given_out.add(port)
                return port
    raise ServerUnavailable(
        f"No port is free on 127.0.0.1, {_PORTS.start} to {_PORTS.stop}: stop some servers."
    )


class Keeper:
    """A process group that dies with this process, also by kill -9; the folder `scratch` goes with it.

    Its leader is a shell waiting for the end of a pipe only we hold. The kernel's death signal is Linux only,
    and fires when the thread that started the server ends.
    """

    # The leader ignores what stops its group, since it must outlive the server it answers for.
    _SCRIPT = 'trap "" TERM INT HUP; read -r _; [ -z "$1" ] || rm -rf -- "$1"; kill -KILL 0'

    def __init__(self, scratch: Path | None = None) -> None:
        self._leader = subprocess.Popen(
            ["/bin/sh", "-c", self._SCRIPT, "keeper", str(scratch or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    @property
    def group(self) -> int:
        """The id of the group, for a process that joins it by itself."""
        return self._leader.pid

    def spawn(
        self, command: Sequence[str], *, log: Path, environment: Mapping[str, str], folder: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command in this group, its output appended to the log. Raises `ServerUnavailable`."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            try:
                return subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=dict(environment),
                    cwd=folder,
                    process_group=self._leader.pid,
                )
            except OSError as error:
                raise ServerUnavailable(f"{command[0]} cannot be started: {error}.", log) from error

    def release(self) -> None:
        """End the group at once, whoever is still in it. Again: nothing happens."""
        stdin = self._leader.stdin
        if stdin is not None and not stdin.closed:
            # A line, not only the end of the pipe: a forked child of ours may hold the other copy open.
            with suppress(BrokenPipeError):
                stdin.write(b"\n")
                stdin.flush()
            stdin.close()
        self._leader.wait()


class Process:
    """A server, started and stopped by `with`; inside, `kill` and `start` play a crash, same port, same files.

    `answers` says whether the server is ready; `patience` is how many seconds that may take; `grace`, how many
    it gets to stop in good order: 0 where it has nothing to keep.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        port: int,
        log: Path,
        environment: Mapping[str, str],
        answers: Callable[[], bool],
        patience: float,
        grace: float,
        scratch: Path | None = None,
    ) -> None:
        self.name, self.port, self.log = name, port, log
        self._command, self._environment = list(command), dict(environment)
        self._answers, self._patience, self._grace, self._scratch = answers, patience, grace, scratch
        self._keeper: Keeper | None = None
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The server's process id; a restart changes it. Raises `ProcessLookupError` while it is down."""
        if self._server is None:
            raise ProcessLookupError(f"{self.name} is not running")
        return self._server.pid

    @property
    def running(self) -> bool:
        """Whether the server is up, or at least has not ended."""
        return self._server is not None and self._server.poll() is None

    def start(self) -> None:
        """Start the server and return once it answers. Running already: nothing happens.

        Raises `ServerUnavailable` if the port is taken, the server ends, or does not answer in time.
        """
        if self.running:
            return
        if listening(self.port):
            raise ServerUnavailable(
                f"{self.name} cannot listen on 127.0.0.1:{self.port}, it is taken: choose another."
            )
        self._keeper = self._keeper or Keeper(self._scratch)
        self._server = self._keeper.spawn(self._command, log=self.log, environment=self._environment)
        deadline = time.monotonic() + self._patience
        while not self._answers():
            if (code := self._server.poll()) is not None:
                raise ServerUnavailable(f"{self.name} ended while starting (exit code {code}).", self.log)
            if time.monotonic() > deadline:
                self.kill()
                raise ServerUnavailable(f"{self.name} did not answer within {self._patience:.0f} s.", self.log)
            time.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """End the server as a crash would, with SIGKILL, and return once it is gone. Its files stay."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def restart(self) -> None:
        """Crash and start again: same port, same files, another process id. In memory means lost."""
        self.kill()
        self.start()

    def end(self) -> None:
        """End the server in good order, or by force after its grace. Gone on return; its files stay."""
        try:
            if self._server is not None and self._grace > 0:
                self._server.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self._server.wait(self._grace)
        finally:
            self.kill()

    def stop(self) -> None:
        """`end`, and all that belongs to the server goes with it."""
        try:
            self.end()
        finally:
            if self._keeper is not None:
                self._keeper.release()
                self._keeper = None
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # Ctrl-C while waiting must not leave the server behind either
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def say(text: str) -> None:
    """Tell the person in front of this process something, on stderr: stdout belongs to the command."""
    _console.print(Text(text), soft_wrap=True)


def carry_out(
    announcement: str,
    commands: Sequence[Sequence[str]],
    failure: str,
    *,
    log: Path,
    folder: Path,
    environment: Mapping[str, str],
) -> None:
    """Run slow commands one after another, saying so before, with the last line of their output while they run.

    Raises `ServerUnavailable` with the sentence `failure` at the first that fails. All end with this process.
    """
    say(announcement)
    log.unlink(missing_ok=True)
    keeper = Keeper()
    try:
        with _progress(log) as show:
            for command in commands:
                running = keeper.spawn(command, log=log, environment=environment, folder=folder)
                while running.poll() is None:
                    show()
                    time.sleep(0.2)  # often enough for the eye
                if running.returncode != 0:
                    raise ServerUnavailable(failure, log)
    finally:
        keeper.release()


@contextmanager
def _progress(log: Path) -> Iterator[Callable[[], None]]:
    """A function that shows time and last line: in place on a terminal, else as a line now and then."""
    started = shown = time.monotonic()

    def state() -> str:
        return f"{time.monotonic() - started:4.0f} s  {tail(log, 1).strip()}"

    if _console.is_terminal:
        with _console.status("") as status:
            yield lambda: status.update(Text(state(), no_wrap=True, overflow="ellipsis"))
        return

    def line() -> None:
        nonlocal shown
        if time.monotonic() - shown >= _LINE_EVERY_SECONDS:
            shown = time.monotonic()
            say(state())

    yield line
