"""The log of a run: what happened, a JSON line each, for people who come the morning after."""

import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import orjson

from stepdistill.common.errors import ConfigError


class EventLog:
    """Appends events to a file; without a path it is silent. A context manager.

    Every line has `at` (seconds since 1970) and `event`. Callers pass no secrets: keys appear
    nowhere, neither in settings nor in the teacher's errors.
    """

    def __init__(self, path: Path | None) -> None:
        """Raises ConfigError when the file cannot be written."""
        self._file: BinaryIO | None = None
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("ab", buffering=0)
            except OSError as error:
                raise ConfigError(f"--log {path}: cannot be written ({error.strerror})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None:
            self.emit("stopped", error=type(error).__name__, message=str(error))
        if self._file is not None:
            self._file.close()

    def emit(self, event: str, **fields: object) -> None:
        """Append one event."""
        if self._file is not None:
            line = {"at": round(time.time(), 3), "event": event, **fields}
            self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE, default=str))
