"""Waiting for what another process does."""

import time
from collections.abc import Callable


def wait_for(there: Callable[[], bool], bound_s: float = 60) -> None:
    """Returns once it is there; fails after so many seconds."""
    end = time.monotonic() + bound_s
    while not there():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)
