"""Sending a stored file: whole, from where a Range begins, or cut in the middle of a line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

_CHUNK_BYTES = 1 << 18
JSON_LINES = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The part of a file that was asked for: bytes start to end of size. partial: by a Range."""

    path: Path
    start: int
    end: int
    size: int
    partial: bool

    @property
    def status(self) -> int:
        """The HTTP status: 206 for a part, 416 for one that does not exist."""
        if self.start > self.end or (self.partial and self.start >= self.size):
            return 416
        return 206 if self.partial else 200


def stretch(request: web.BaseRequest, path: Path, *, ranges: bool) -> Stretch:
    """What this request asks for, or the whole file where ranges are not heeded."""
    size = path.stat().st_size
    if not ranges or "Range" not in request.headers:
        return Stretch(path=path, start=0, end=size, size=size, partial=False)
    try:
        asked = request.http_range
    except ValueError:
        return Stretch(path=path, start=size, end=size, size=size, partial=True)
    start, end, _ = asked.indices(size) if asked.start is not None else (0, size, 1)
    if asked.start is not None and asked.start >= size:
        start = end = size
    return Stretch(path=path, start=start, end=end, size=size, partial=True)


async def send_stretch(request: web.BaseRequest, part: Stretch) -> web.StreamResponse:
    """Send the bytes as they are, as a stream."""
    return await _send(request, part, promised=part.end - part.start, end=part.end)


async def send_cut(request: web.BaseRequest, part: Stretch, *, silent: bool) -> web.StreamResponse:
    """Send half of it, up to the middle of a line. Silent: as if that were all there is."""
    end = _mid_line(part)
    promised = end - part.start if silent else part.end - part.start
    return await _send(request, part, promised=promised, end=end)


def _mid_line(part: Stretch) -> int:
    middle = part.start + (part.end - part.start) // 2
    with part.path.open("rb") as file:
        file.seek(max(0, middle - 1))
        # Never right behind a line's end: what arrived shall look torn.
        return middle + (file.read(1) == b"\n")


async def _send(
    request: web.BaseRequest, part: Stretch, *, promised: int, end: int
) -> web.StreamResponse:
    response = web.StreamResponse(status=part.status)
    response.content_type = JSON_LINES
    if part.partial:
        span = f"{part.start}-{part.end - 1}" if part.status == 206 else "*"
        response.headers["Content-Range"] = f"bytes {span}/{part.size}"
    response.content_length = promised
    await response.prepare(request)
    for chunk in _chunks(part.path, part.start, end):
        await response.write(chunk)
    if end - part.start < promised and request.transport is not None:
        request.transport.close()  # after what was written; the promised rest never comes
    return response


def _chunks(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (chunk := file.read(min(_CHUNK_BYTES, end - start))):
            start += len(chunk)
            yield chunk
