"""Answers as JSON lines, to be carried from store to store: one line per answer, sorted by key.

    {"key": "HEX", "text": ..., "finish": ..., "model": ..., "usage": {...}, "mode": ..., ...}

A name that ends in .gz or .zst is compressed.
"""

import gzip
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import orjson
import zstandard
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepdistill.annotator.store.answer import TIME_BOUND, TOKENS_BOUND, Answer, Mode, Usage
from stepdistill.annotator.store.logprobs import KeptLogprobs
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import StoreError

_PER_COMMIT = 1_000
_CHUNK_BYTES = 1 << 17
_LATER = ("thoughts", "tier", "cost_usd", "logprobs")  # left out where they are empty
Tell = Callable[[int], None]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_Tokens = Annotated[int, Field(ge=0, lt=TOKENS_BOUND)]


class _Usage(_Strict):
    prompt: _Tokens
    completion: _Tokens
    cached: _Tokens
    reasoning: _Tokens
    written: _Tokens = 0
    is_whole: bool = True


class _Line(_Strict):
    key: str = Field(pattern=r"^[0-9a-f]{64}$")  # a SHA-256: 00ab...ff
    text: str
    finish: str
    model: str
    usage: _Usage
    mode: Mode
    asked_at: int = Field(ge=0, lt=TIME_BOUND)
    limit: int | None
    request_id: str | None
    thoughts: str | None = None
    tier: str | None = None
    cost_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    logprobs: KeptLogprobs | None = None


def export_answers(store: ResponseStore, path: Path, tell: Tell) -> int:
    """Write every answer and return their number; the file appears when it is whole. Raises
    StoreError: a damaged value, or a file that cannot be written."""
    n = 0
    part = path.with_name(f"{path.name}.part")
    try:
        with store.reading() as stored, _writing(part, path.suffix) as file:
            for n, (key, answer) in enumerate(stored.answers(), start=1):
                file.write(_line_of(key, answer))
                if n % _PER_COMMIT == 0:
                    tell(n)
        part.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        part.unlink(missing_ok=True)
    return n


def import_answers(store: ResponseStore, path: Path, tell: Tell) -> tuple[int, int]:
    """Put the answers of a file beside those that are there: how many were new, how many kept.
    Raises StoreError: a line that is no answer, a file cut off; what came before it is stored."""
    new = n = 0
    lines = _answers(path)
    while chunk := list(islice(lines, _PER_COMMIT)):
        n += len(chunk)
        wanted: dict[bytes, Answer] = {}
        for key, answer in chunk:
            if key not in store:
                wanted.setdefault(key, answer)
        store.put(wanted.items(), [])
        new += len(wanted)
        tell(n)
    return new, n - new


def _line_of(key: bytes, answer: Answer) -> bytes:
    fields = {name: getattr(answer, name) for name in Answer._fields}
    names = Usage._fields[: len(answer.usage.counts)]
    fields["usage"] = dict(zip(names, answer.usage.counts, strict=True))
    for name in _LATER:
        if fields[name] is None:
            del fields[name]
    return orjson.dumps({"key": key.hex(), **fields}, option=orjson.OPT_APPEND_NEWLINE)


@contextmanager
def _writing(path: Path, suffix: str) -> Generator[BinaryIO]:
    with path.open("wb") as file:
        if suffix == ".gz":  # without a time in it, so that the same store gives the same bytes
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                yield cast(BinaryIO, packed)
        elif suffix == ".zst":
            zstd = zstandard.ZstdCompressor(level=3, write_checksum=True)
            with zstd.stream_writer(file, closefd=False) as packed:
                yield cast(BinaryIO, packed)
        else:
            yield file


def _answers(path: Path) -> Iterator[tuple[bytes, Answer]]:
    for number, line in enumerate(_lines(path), start=1):
        try:
            read = _Line.model_validate(orjson.loads(line))
        except (orjson.JSONDecodeError, ValidationError) as error:
            why = str(error).splitlines()
            raise StoreError(
                f"{path} line {number}: not an answer as `annotate store export` writes it "
                f"({' '.join(why[:3])}); the lines before it are stored"
            ) from None
        fields = {name: getattr(read, name) for name in Answer._fields}
        fields["usage"] = Usage(**read.usage.model_dump())
        yield bytes.fromhex(read.key), Answer(**fields)


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, of whatever it is compressed with. Raises StoreError."""
    try:
        with path.open("rb") as file:
            if path.suffix == ".gz":
                with gzip.open(file) as unzipped:
                    yield from unzipped
            elif path.suffix == ".zst":
                yield from _split(_unpacked(file))
            else:
                yield from file
    except (EOFError, zlib.error, zstandard.ZstdError) as error:
        raise StoreError(f"{path}: cut off or damaged ({error})") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror or error})") from None


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    frame = zstandard.ZstdDecompressor().decompressobj()
    while chunk := file.read(_CHUNK_BYTES):
        while chunk:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(chunk)
            chunk = frame.unused_data
    if not frame.eof:
        raise EOFError("the last frame has no end")


def _split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest
