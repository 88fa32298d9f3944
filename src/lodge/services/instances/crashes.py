"""What to do after an instance's process died: pure, over the times of its crashes."""

from collections.abc import Sequence
from dataclasses import dataclass

from lodge.model.instance import CrashPolicy

__all__ = ["CRASH_LIMIT", "CRASH_WINDOW_S", "Verdict", "judge"]

CRASH_LIMIT = 5
"""So many crashes within the window, and Lodge stops trying."""

CRASH_WINDOW_S = 600.0
_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 60.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to start it again and after how many seconds, in words for people."""

    restarts: bool
    delay_s: float
    words: str


def judge(policy: CrashPolicy, crashes: Sequence[float], now: float) -> Verdict:
    """Decide after the newest crash (the last of ``crashes``, Unix seconds).

    >>> judge(CrashPolicy.RESTART, [100.0], 100.0).delay_s
    1.0
    >>> judge(CrashPolicy.STOP, [100.0], 100.0).restarts
    False
    """
    recent = [at for at in crashes if now - at < CRASH_WINDOW_S]
    if policy is CrashPolicy.STOP:
        return Verdict(restarts=False, delay_s=0.0, words="crashed; its policy is to stay stopped")
    if len(recent) >= CRASH_LIMIT:
        minutes = int(CRASH_WINDOW_S // 60)
        return Verdict(
            restarts=False,
            delay_s=0.0,
            words=f"crashed {len(recent)} times within {minutes} minutes; not tried again",
        )
    delay_s = min(_FIRST_DELAY_S * 2 ** (len(recent) - 1), _LONGEST_DELAY_S)
    return Verdict(restarts=True, delay_s=delay_s, words=f"crashed; restarts in {delay_s:g} s")
