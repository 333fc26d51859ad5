"""What a round needs of the place it runs in: a heartbeat, the order to stop, a way to wait.

The engine knows nothing of Temporal; activities hand it a `RoundContext`, tests a simpler one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from reindexer.models import Model


class RoundContext(Protocol):
    """All waiting and all signs of life of a round go through this."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def heartbeat(self, progress: Callable[[], Model] | None = None, *, immediate: bool = False) -> None:
        """Tell that the round lives, and its state; None: the last one given.

        Cheap to call: at most every 0.4 s it asks for the progress and sends it; `immediate`: now.
        """
        ...

    def stopping(self) -> bool:
        """Whether the round is to hand back its state: it was asked to, or is stale."""
        ...

    def stale(self) -> bool:
        """Whether another attempt may have taken the place of this one, which then must not write.

        It was frozen, or cut off from whoever gives out attempts, for a heartbeat timeout.
        """
        ...

    def rest(self, resting: bool) -> None:
        """Whether nothing has come for seconds: then heartbeats are 4 s apart, and a stop is heard as late.

        What a lost attempt had reached is in the last one by then.
        """
        ...

    def wait(self, seconds: float) -> None:
        """Wait in ticks of 0.2 s that heartbeat; returns early when asked to stop."""
        ...


#: How often a waiting round looks up; with the heartbeat's own delay this keeps a pause below 2 s.
TICK_SECONDS = 0.2
