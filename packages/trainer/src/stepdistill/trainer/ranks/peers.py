"""What a rank knows of the others from the moment they met: who is lost, and why all end then.

Without this a rank that waits for one that is gone waits for as long as the library between them
does: ten minutes, or for ever.
"""

import errno
import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress

from stepdistill.common.terminal import visible
from stepdistill.trainer.errors import RankLost
from stepdistill.trainer.ranks.place import RankPlace
from stepdistill.trainer.ranks.wire import Message

GOES_ON = "; the same command goes on from the last checkpoint, with fewer ranks, too"
# What another rank said it failed by may be what this one is about to say itself.
_GRACE_S, _LONG_GRACE_S = 6.0, 60.0
_UNWIND_S = 5.0


class Peers(ABC):
    """The other ranks. A thread listens to them; what it concludes ends the process, even where the
    main thread waits for them within a library."""

    def __init__(self, place: RankPlace) -> None:
        self.place = place
        self._lock = threading.Lock()
        self._concluded = threading.Event()
        self._verdict: RankLost | None = None
        self._taken = self._left = False

    def lost(self, within_s: float = 0.0) -> RankLost | None:
        """Why this rank cannot go on, if that is known by then; who asks is the one to say it."""
        self._concluded.wait(within_s)
        with self._lock:
            self._taken = self._taken or self._verdict is not None
            return self._verdict

    def leave(self, line: str = "", code: int = 0) -> None:
        """Tell the others that this rank ends in order: done, or by an error of its own."""
        if not self._left:
            self._left = True
            self._tell({"ended": line, "code": code})

    def listen(self) -> None:
        """Begin to listen."""
        threading.Thread(target=self._listen, daemon=True).start()

    @abstractmethod
    def _tell(self, message: Message) -> None:
        """Send to all that this rank has a line to."""

    @abstractmethod
    def _listen(self) -> None:
        """What the thread does."""

    def _conclude(self, error: RankLost) -> None:
        """End this process: by its main thread, if that gets to it, else as it is."""
        with self._lock:
            if self._left or self._verdict is not None:
                return
            self._verdict = error
        self._tell({"lost": str(error), "code": error.exit_code})
        self._concluded.set()
        time.sleep(_UNWIND_S)
        with self._lock:
            if self._taken or self._left:
                return
        if says(self.place, error):
            over = "\n" if sys.stderr.isatty() else ""  # what a progress bar has written
            sys.stderr.write(f"{over}error: {visible(str(error))}\n")
            sys.stderr.flush()
        os._exit(error.exit_code)

    def _note_end(self, who: str, message: Message) -> None:
        """Another rank has ended in order. Where this one does not soon, it cannot."""
        if self._left:
            return
        line, code = str(message.get("ended", "")), int(message.get("code", 0))
        what = f"{who}: {line}" if line else f"{who} has ended and this rank has not{GOES_ON}"
        error = RankLost(what, code or RankLost.exit_code)
        grace_s = _GRACE_S if line else _LONG_GRACE_S
        timer = threading.Timer(grace_s, self._conclude, args=(error,))
        timer.daemon = True
        with suppress(RuntimeError):  # this process is ending already
            timer.start()


def says(place: RankPlace, error: BaseException) -> bool:
    """Whether this rank is the one to say it; of rank 0's own end it is the next."""
    return place.speaks or (isinstance(error, RankLost) and error.of_first and place.rank == 1)


def gone(who: str, how: OSError | None, *, first: bool = False) -> RankLost:
    """The error of a rank that is lost. how: what reading from it raised; None: it is closed.

    first: it is rank 0.
    """
    if how is None or how.errno in (errno.ECONNRESET, errno.EPIPE):
        what = "has died: something killed it (want of memory? its host's log says more)"
    else:
        what = "cannot be reached any more: its host or its network is down"
    return RankLost(f"{who} {what}{GOES_ON}", of_first=first)
