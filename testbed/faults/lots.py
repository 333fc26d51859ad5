"""Repeatable draws: they depend on the seed, on what a call is, and on how often it came."""

from __future__ import annotations

from hashlib import blake2b


class Lots:
    """The draws of one fault. `name` has the seed in it, and keeps the faults of a plan apart."""

    def __init__(self, name: str, probability: float, after: int, limit: int | None) -> None:
        self._name, self._probability = f"{name} ".encode(), probability
        self._after, self._limit = after, limit
        self._seen = self._struck = 0

    def drawn(self, identity: bytes, number: int) -> bool:
        """Whether the fault may strike. `number`: how often this identity came before."""
        self._seen += 1
        if self._seen <= self._after or (self._limit is not None and self._struck >= self._limit):
            return False
        if self._probability >= 1:
            return True
        return fraction(b"%b%b %d" % (self._name, identity, number)) < self._probability

    def strike(self) -> None:
        """Count a strike against the limit."""
        self._struck += 1


def digest(content: bytes) -> bytes:
    """A short name for content."""
    return blake2b(content, digest_size=16).digest()  # 16 bytes: no two calls of a run share one


def fraction(content: bytes) -> float:
    """An even spread over 0 ≤ x < 1, the same for the same content on every machine."""
    number = int.from_bytes(blake2b(content, digest_size=6).digest())  # 48 bits: exact in a float
    return number / 2**48
