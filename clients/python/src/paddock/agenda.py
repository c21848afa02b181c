"""What the reading thread of a channel has to do later: when its time comes, or when there is room for another call.

Decides only, under its channel's lock; the channel calls the actions without it.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from typing import Callable, Deque, List, Optional, Tuple

Action = Callable[[], None]


class Agenda:
    def __init__(self) -> None:
        self._timers: List[Tuple[float, int, Action]] = []
        self._parked: Deque[Action] = deque()
        self._last = 0

    def add(self, delay: float, action: Action) -> None:
        """In `delay` seconds; of those due at once, the first added first."""
        self._last += 1
        heapq.heappush(self._timers, (time.monotonic() + delay, self._last, action))

    def park(self, action: Action) -> None:
        """When there is room."""
        self._parked.append(action)

    def patience(self, has_room: bool) -> Optional[float]:
        """Milliseconds until something is due; None when nothing will be."""
        if self._parked and has_room:
            return 0
        return max(0.0, (self._timers[0][0] - time.monotonic()) * 1000 + 1) if self._timers else None

    def next_due(self, has_room: bool) -> Optional[Action]:
        if self._parked and has_room:
            return self._parked.popleft()
        if self._timers and self._timers[0][0] <= time.monotonic():
            return heapq.heappop(self._timers)[2]
        return None

    def take_all(self) -> List[Action]:
        actions = [timer[2] for timer in self._timers] + list(self._parked)
        self._timers.clear()
        self._parked.clear()
        return actions
