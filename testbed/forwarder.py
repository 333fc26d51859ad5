"""A TCP forwarder that can be cut: what a broken network does to whoever talks through it.

    with Forwarder("127.0.0.1:7233") as line:
        …  # TEMPORAL_ADDRESS = line.address
        line.cut()
        line.restore()

Loopback only.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

_CHUNK = 65_536  # bytes: what a loopback socket holds at a time


class Forwarder:
    """Passes bytes on to `target` ("host:port"), both ways. Its methods may be called from any thread."""

    def __init__(self, target: str) -> None:
        host, port = target.rsplit(":", 1)
        self._target = host, int(port)
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """From now on nothing passes, and neither side notices: connections stay, new ones get no answer."""
        self._open.clear()

    def restore(self) -> None:
        """What was sent meanwhile arrives now, as after lost packets were sent again."""
        self._open.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        with self._lock:
            for one in self._sockets:
                with suppress(OSError):  # closed by its other side
                    one.shutdown(socket.SHUT_RDWR)
        self._open.set()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:  # the listener was closed
                return
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        self._open.wait()
        try:
            far = socket.create_connection(self._target)
        except OSError:
            near.close()
            return
        with self._lock:
            self._sockets += [near, far]
        threading.Thread(target=self._pass, args=(near, far), daemon=True).start()
        self._pass(far, near)

    def _pass(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                self._open.wait()
                to.sendall(data)
        for one in (source, to):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
