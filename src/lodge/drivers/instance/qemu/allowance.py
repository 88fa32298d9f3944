"""How much a guest may make the daemon do in a while; pure (event, clock)."""

__all__ = ["Allowance"]


class Allowance:
    """A bucket of ``burst`` tokens that fills with ``per_s`` tokens a second."""

    def __init__(self, *, burst: int, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = float(burst)
        self._at = float("-inf")

    def take(self, now: float) -> bool:
        """Take one token at that moment of a clock; false when there is none.

        >>> two = Allowance(burst=2, per_s=1)
        >>> [two.take(0.0), two.take(0.0), two.take(0.0), two.take(1.5)]
        [True, True, False, True]
        """
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
