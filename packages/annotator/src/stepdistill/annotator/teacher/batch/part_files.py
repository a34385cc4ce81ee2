"""Part files: requests as lines on the disk, written once; the ledger knows which are whole.

    STORE/batches/writing.jsonl        being written; worth nothing after a crash
    STORE/batches/part-000001.jsonl    whole, and an open part of the ledger

Memory holds one line and the keys of one part.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson

from stepdistill.annotator.plan.key import Endpoint, Request, RequestForm
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.batch.protocol import CHAT
from stepdistill.annotator.teacher.reply import sent_body
from stepdistill.common.errors import ConfigError, StoreError

_WRITING = "writing.jsonl"
_BUFFER_BYTES = 1 << 20
_BYTES_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_ANYWHERE = Endpoint(name="", path="")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLimits:
    """How large a part may be; tokens: of its prompts together, None for any number.

    fits: whether so many requests of so many bytes are few enough to be afforded at once.
    """

    requests: int
    bytes: int
    tokens: int | None = None
    fits: Callable[[int, int], bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """Whom the parts of a run ask, and how. limit: tokens of an answer, sent as limit_name.

    is_passing: it ends with this process, and its files and batches with it.
    """

    run: str
    task: str
    model: str
    endpoint: str
    base_url: str
    limit: int
    limit_name: str
    is_passing: bool = False


class PartWriter:
    """Takes requests one by one; `add` and `finish` return a part whenever one is whole.

    A context manager: what is not finished at its end is given up.
    """

    def __init__(self, ledger: Ledger, limits: PartLimits, to: Addressee) -> None:
        self._ledger, self._limits, self._to = ledger, limits, to
        self._path = ledger.folder / _WRITING
        self._file: BinaryIO | None = None
        self._begin()

    def _begin(self) -> None:
        self._file = None
        self._keys: dict[bytes, None] = {}
        self._sha256 = hashlib.sha256()
        self._bytes = self._tokens = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def add(self, request: Request) -> BatchPart | None:
        """Write a request. Raises StoreError: a full disk; ConfigError: it is too large."""
        line, tokens = line_of(request, self._to), tokens_of(request)
        self._check(len(line), tokens)
        done = self.finish() if self._is_full_for(len(line), tokens) else None
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("wb", buffering=_BUFFER_BYTES)
            self._file.write(line)
        except OSError as error:
            raise self._unwritable(error) from None
        self._sha256.update(line)
        self._keys[request.key] = None
        self._bytes += len(line)
        self._tokens += tokens
        return done

    def finish(self) -> BatchPart | None:
        """The part of what was added since the last; None if nothing was."""
        if self._file is None:
            return None
        part = self._seal(self._file)
        self._begin()
        return part

    def _seal(self, file: BinaryIO) -> BatchPart:
        to = self._to
        part = BatchPart(
            number=self._ledger.next_number(),
            run=to.run,
            task=to.task,
            sha256=self._sha256.hexdigest(),
            requests=len(self._keys),
            bytes=self._bytes,
            tokens=self._tokens,
            model=to.model,
            endpoint=to.endpoint,
            base_url=to.base_url,
            limit=to.limit,
        )
        try:
            file.flush()
            os.fsync(file.fileno())
            file.close()
            self._path.replace(self._ledger.folder / part.file_name)
            _sync_folder(self._ledger.folder)
        except OSError as error:
            raise self._unwritable(error) from None
        return self._ledger.add(part, list(self._keys))

    def _is_full_for(self, n_bytes: int, tokens: int) -> bool:
        limits = self._limits
        return self._file is not None and (
            len(self._keys) >= limits.requests
            or self._bytes + n_bytes > limits.bytes
            or (limits.tokens is not None and self._tokens + tokens > limits.tokens)
            or (
                limits.fits is not None
                and not limits.fits(len(self._keys) + 1, self._bytes + n_bytes)
            )
        )

    def _check(self, n_bytes: int, tokens: int) -> None:
        limits = self._limits
        if n_bytes > limits.bytes:
            raise ConfigError(
                f"one request has {n_bytes:,} bytes and a part may have {limits.bytes:,}: raise "
                "--max-batch-mb"
            )
        if limits.tokens is not None and tokens > limits.tokens:
            raise ConfigError(
                f"one prompt has about {tokens:,} tokens and {limits.tokens:,} may be enqueued: "
                "raise --enqueued-tokens"
            )

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self._path}: cannot be written ({error.strerror}): make room and run this again; "
            "the parts that are whole are kept"
        )


def line_of(request: Request, to: Addressee) -> bytes:
    """A request as a line of a part file."""
    line = {
        "custom_id": request.key.hex(),
        "method": "POST",
        "url": CHAT,
        "body": orjson.Fragment(sent_body(request, to.limit_name, to.limit)),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def tokens_of(request: Request) -> int:
    """About how many tokens a prompt has; rather too many than too few."""
    n_bytes = sum(len(message["content"].encode()) for message in request.messages)
    return -(-n_bytes // _BYTES_PER_TOKEN) + _TOKENS_PER_MESSAGE * len(request.messages)


def read_requests(path: Path, keys: Collection[bytes], limit_name: str) -> Iterator[Request]:
    """The requests with these keys, read back from a part file; none if it is gone."""
    try:
        with path.open("rb") as file:
            for line in file:
                said: dict[str, Any] = orjson.loads(line)
                key = bytes.fromhex(said["custom_id"])
                if key in keys:
                    yield _request(key, said["body"], limit_name)
    except FileNotFoundError:
        return


def _request(key: bytes, body: dict[str, Any], limit_name: str) -> Request:
    said = {message["role"]: message["content"] for message in body.pop("messages")}
    body.pop(limit_name, None)
    model = str(body.pop("model"))
    form = RequestForm(_ANYWHERE, model, body)  # its own key is known, and not made again
    return Request(key=key, system=said.get("system", ""), user=said["user"], form=form)


def is_whole(path: Path, part: BatchPart) -> bool:
    """Whether a part's file is there as it was written."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == part.sha256
    except OSError:
        return False


def remove_strays(ledger: Ledger) -> None:
    """Remove the files that no open part of the ledger names: of crashes, and of parts settled."""
    named = {part.file_name for part in ledger.open_parts()}
    for path in ledger.folder.glob("*.jsonl"):
        if path.name not in named:
            with suppress(OSError):
                path.unlink()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
