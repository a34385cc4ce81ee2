"""SIGTERM and Ctrl-C ask a run to stop after its present step; a second one ends it at once."""

import signal
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal(AbstractContextManager["StopSignal"]):
    """Listens while it is open; called, it says whether a signal came."""

    def __init__(self) -> None:
        self._came = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {one: signal.signal(one, self._hear) for one in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._listen_no_more()

    def __call__(self) -> bool:
        """Whether a signal came."""
        return self._came

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        self._listen_no_more()

    def _listen_no_more(self) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)
