"""Slow down who guesses: growing delays per address; pure (state, event, clock).

A secret has 256 random bits, so nobody guesses one; the limit keeps a flood of wrong ones from
costing CPU and log space. It is one table of bounded size.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

__all__ = ["FailureLimiter"]


@dataclass(slots=True)
class _Record:
    failures: int
    until: float
    last: float


class FailureLimiter:
    """Count failures per address and say how long each has to wait.

    The first ``free`` failures cost nothing (a mistyped token); then the delay doubles from
    ``first_delay_s`` to ``longest_delay_s``. An address is forgotten ``forget_after_s`` after its
    last failure, or when more than ``most_addresses`` others failed later. All of an IPv6 /64
    counts as one address, because one machine owns that many (RFC 6177).
    """

    def __init__(
        self,
        *,
        free: int = 5,
        first_delay_s: float = 1.0,
        longest_delay_s: float = 300.0,
        forget_after_s: float = 3600.0,
        most_addresses: int = 10_000,
    ) -> None:
        self._free = free
        self._first = first_delay_s
        self._longest = longest_delay_s
        self._forget_after = forget_after_s
        self._most = most_addresses
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._records)

    def delay_s(self, address: str, now: float) -> float:
        """Return the seconds an address still has to wait; 0 when it may try."""
        record = self._records.get(_group(address))
        return max(0.0, record.until - now) if record else 0.0

    def fail(self, address: str, now: float) -> float:
        """Count a failure and return the delay that follows it."""
        group = _group(address)
        record = self._records.pop(group, None)
        if record is None or now - record.last > self._forget_after:
            record = _Record(0, now, now)
        record.failures += 1
        record.last = now
        over = record.failures - self._free
        # 2 ** 40 is beyond every limit: no need to compute larger powers.
        delay = min(self._longest, self._first * 2.0 ** min(over - 1, 40)) if over > 0 else 0.0
        record.until = now + delay
        self._records[group] = record
        self._drop_old(now)
        return delay

    def succeed(self, address: str) -> None:
        """Forget the failures of an address."""
        self._records.pop(_group(address), None)

    def _drop_old(self, now: float) -> None:
        """Drop from the oldest end: the table is ordered by last failure."""
        while self._records:
            oldest = next(iter(self._records.values()))
            if len(self._records) <= self._most and now - oldest.last <= self._forget_after:
                return
            self._records.popitem(last=False)


def _group(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
