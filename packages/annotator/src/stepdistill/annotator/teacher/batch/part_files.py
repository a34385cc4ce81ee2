"""Part files: requests as lines on the disk, written once; the ledger knows which are whole.

    STORE/batches/writing.jsonl        being written; worth nothing after a crash
    STORE/batches/part-000001.jsonl    whole, and an open part of the ledger

Memory holds one line and the keys of one part.
"""

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson

from stepdistill.annotator.errors import TooLong
from stepdistill.annotator.plan.key import Endpoint, Request, RequestForm
from stepdistill.annotator.settings.teacher import LIMIT_NAMES, LimitName
from stepdistill.annotator.store.lock import sync_folder
from stepdistill.annotator.teacher.batch.capacity import bounds_of
from stepdistill.annotator.teacher.batch.context import BatchContext
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import CHAT, BatchPart
from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.common.errors import StoreError
from stepdistill.common.urls import without_secrets

_WRITING = "writing.jsonl"
_BUFFER_BYTES = 1 << 20
# Rather too many than too few: a part above the teacher's limit is refused.
_BYTES_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_ANYWHERE = Endpoint(name="", path="")


class PartWriter:
    """The writer of part files, a request at a time; `add` and `finish` return each whole part.

    A context manager: what is not finished at its end is given up.
    limit_tokens: of a part's prompts together, None for any number; what else bounds a part, the
    settings and the reservations say.
    """

    def __init__(self, context: BatchContext, limit_tokens: int | None = None) -> None:
        self._context, self._limit_tokens = context, limit_tokens
        self._path = context.ledger.folder / _WRITING
        self._bounds = bounds_of(context.settings, context.teacher.provider.batch)
        self._begin()

    def _begin(self) -> None:
        self._file: BinaryIO | None = None
        self._keys: dict[bytes, None] = {}
        self._sha256 = hashlib.sha256()
        self._bytes = self._tokens = 0
        self._longest = self._context.teacher.max_tokens

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def add(self, request: Request) -> BatchPart | None:
        """Write a request. Raises StoreError: a full disk; TooLong: no part may hold it."""
        teacher = self._context.teacher
        line, tokens = _line_of(request, teacher), _tokens_of(request)
        longest = teacher.longest(request)
        self._check(len(line), tokens)
        done = self.finish() if self._is_full_for(len(line), tokens, longest) else None
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
        self._longest = max(self._longest, longest)
        return done

    def finish(self) -> BatchPart | None:
        """The part of what was added since the last; None if nothing was."""
        if self._file is None:
            return None
        part = self._seal(self._file)
        self._begin()
        return part

    def _seal(self, file: BinaryIO) -> BatchPart:
        context, ledger, teacher = self._context, self._context.ledger, self._context.teacher
        part = BatchPart(
            number=ledger.next_number(),
            run=context.run,
            task=context.task,
            sha256=self._sha256.hexdigest(),
            requests=len(self._keys),
            bytes=self._bytes,
            tokens=self._tokens,
            model=teacher.model,
            endpoint=teacher.endpoint_name,
            base_url=without_secrets(teacher.base_url),
            provider=teacher.provider.name,
            limit=teacher.max_tokens,
            beyond=self._longest - teacher.max_tokens,
        )
        try:
            file.flush()
            os.fsync(file.fileno())
            file.close()
            self._path.replace(ledger.folder / part.file_name)
            sync_folder(ledger.folder)
        except OSError as error:
            raise self._unwritable(error) from None
        # Only now: a part in the ledger has its file, whatever happens between the two.
        return ledger.add(part, list(self._keys))

    def _is_full_for(self, n_bytes: int, tokens: int, longest: int) -> bool:
        if self._file is None:
            return False
        reservations = self._context.reservations
        n_bytes, n = self._bytes + n_bytes, len(self._keys) + 1
        longest = max(self._longest, longest)
        return (
            n > self._bounds.requests
            or n_bytes > self._bounds.bytes
            or (self._limit_tokens is not None and self._tokens + tokens > self._limit_tokens)
            or (reservations is not None and not reservations.fits(n, n_bytes, longest))
        )

    def _check(self, n_bytes: int, tokens: int) -> None:
        most = self._bounds.bytes
        if n_bytes > most:
            raise TooLong(
                f"its request has {n_bytes:,} bytes, and the file of a batch may have {most:,} "
                "(--max-batch-mb)"
            )
        if self._limit_tokens is not None and tokens > self._limit_tokens:
            raise TooLong(
                f"its prompt counts about {tokens:,} tokens, and {self._limit_tokens:,} may be "
                "enqueued in batches (--enqueued-tokens)"
            )

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self._path}: cannot be written ({error.strerror}): make room and run this again; "
            "the parts that are whole are kept"
        )


def _line_of(request: Request, teacher: TeacherSpec) -> bytes:
    line = {
        "custom_id": request.key.hex(),
        "method": "POST",
        "url": CHAT,
        "body": orjson.Fragment(_chat_body(request, teacher)),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _chat_body(request: Request, teacher: TeacherSpec) -> bytes:
    """What is asked, in the dialect chat: whatever is sent is made of it."""
    if teacher.dialect.name == "chat":
        return teacher.body(request)
    return orjson.dumps({**request.body, teacher.limit_name: teacher.max_tokens})


def _tokens_of(request: Request) -> int:
    n_bytes = sum(len(message["content"].encode()) for message in request.messages)
    return -(-n_bytes // _BYTES_PER_TOKEN) + _TOKENS_PER_MESSAGE * len(request.messages)


def read_requests(path: Path, keys: Collection[bytes]) -> Iterator[Request]:
    """The requests with these keys, read back from a part file; none if it is gone."""
    try:
        with path.open("rb") as file:
            for line in file:
                fields: dict[str, Any] = orjson.loads(line)
                key = bytes.fromhex(fields["custom_id"])
                if key in keys:
                    yield _request(key, fields["body"])
    except FileNotFoundError:
        return


def every_request(path: Path) -> Iterator[Request]:
    """The requests of a part file, in the order of its lines. Raises OSError."""
    with path.open("rb") as file:
        for line in file:
            fields: dict[str, Any] = orjson.loads(line)
            yield _request(bytes.fromhex(fields["custom_id"]), fields["body"])


def _request(key: bytes, body: dict[str, Any]) -> Request:
    texts = {message["role"]: message["content"] for message in body.pop("messages")}
    for name in LIMIT_NAMES:  # the part may have been made before the teacher refused one of them
        body.pop(name, None)
    model = str(body.pop("model"))
    form = RequestForm(_ANYWHERE, model, body)  # its own key is known, and not made again
    return Request(key=key, system=texts.get("system", ""), user=texts["user"], form=form)


def is_whole(path: Path, part: BatchPart) -> bool:
    """Whether a part's file is there as it was written."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == part.sha256
    except OSError:
        return False


def names_limit(path: Path, name: LimitName) -> bool:
    """Whether a part's file has the limit under this name."""
    try:
        with path.open("rb") as file:
            return name in orjson.loads(file.readline())["body"]
    except (OSError, ValueError, LookupError):
        return True  # that something else is wrong with it is seen elsewhere


def remove_strays(ledger: Ledger) -> None:
    """Remove the files that no open part of the ledger names: of crashes, and of parts settled."""
    named = {part.file_name for part in ledger.open_parts()}
    for path in ledger.folder.glob("*.jsonl"):
        if path.name not in named:
            with suppress(OSError):
                path.unlink()
