"""The bytes of a reply as what they are: text, JSON, a page for people, or a stream of events.

Servers and what stands before them compress unasked, send a byte order mark, cut a character in
two or write NaN; an answer that was paid for is not thrown away for that.
"""

import html
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import orjson
import zstandard

LARGEST_REPLY = 8 << 20  # bytes: more than any answer has
SHOWN = 300  # characters of a server's words that are kept
_GZIP, _ZSTD, _BOM = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xef\xbb\xbf"
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_UTF16 = re.compile(rb"\xff\xfe|\xfe\xff")
_PAGE = re.compile(
    r"\s*(?:<!--.*?-->\s*)*<(!doctype|html|head|body|\?xml|[a-z]+[\s>/])", re.I | re.S
)
_TITLES = (r"<title[^>]*>(.*?)</title", r"<h1[^>]*>(.*?)</h1", r"<message[^>]*>(.*?)</message")
_HIDDEN = re.compile(r"<(script|style)\b.*?(</\1>|$)|<!--.*?-->", re.I | re.S)
_TAG = re.compile(r"<[^<>]{0,2000}>")
_LOOKED_AT = 20_000  # characters of a page


def unpacked(body: bytes) -> bytes:
    """A body without the compression that nobody asked for, known by its first bytes, as a client
    may have undone it already. Raises ValueError where it is damaged, or grows beyond measure."""
    try:
        if body.startswith(_ZSTD):
            with zstandard.ZstdDecompressor().stream_reader(body) as stream:
                return stream.read(LARGEST_REPLY)
        if body.startswith(_GZIP) or _ZLIB.match(body):
            packed = zlib.decompressobj(zlib.MAX_WBITS | 32)  # both, by their heads
            content = packed.decompress(body, LARGEST_REPLY)
            if not packed.eof:
                raise ValueError("a compressed body that has no end")
            return content
    except (zlib.error, zstandard.ZstdError) as error:
        raise ValueError(f"a compressed body that is damaged ({error})") from None
    return body


def inflated(body: bytes) -> bytes:
    """A body of `deflate` as some mean it: without a head to know it by. Raises ValueError."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, LARGEST_REPLY)
    except zlib.error as error:
        raise ValueError(str(error)) from None


def text_of(body: bytes) -> str:
    """The same as text, whatever became of its characters."""
    if _UTF16.match(body):
        return body.decode("utf-16", "replace")
    return body.removeprefix(_BOM).decode("utf-8", "replace")


def json_of(text: str) -> Any:
    """What JSON says, NaN and line breaks within strings included. Raises ValueError."""
    try:
        return json.loads(text, strict=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def loaded(body: bytes) -> Any:
    """The JSON in a body. Raises ValueError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json_of(text_of(unpacked(body)))


def object_in(value: Any) -> Mapping[str, Any] | None:
    """A value of JSON where it is an object."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else None


def clean(text: str) -> str:
    """Text that can be stored: a half of a character (a lone surrogate) is replaced."""
    if text.isascii():  # at no cost
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def one_line(text: str, longest: int = SHOWN) -> str:
    """Text in one line, cut between words."""
    line = " ".join(clean(text).split())
    if len(line) <= longest:
        return line
    start = line[: longest - 3]
    return (start.rsplit(" ", 1)[0] if " " in start[longest // 2 :] else start) + "..."


def page_words(text: str) -> str | None:
    """What a page is, without its tags; None where the text is no page."""
    if not _PAGE.match(text[:1000]):
        return None
    page = _HIDDEN.sub(" ", text[:_LOOKED_AT])
    kind = "an XML document" if page.lstrip().startswith("<?xml") else "an HTML page"
    for title in _TITLES:
        if (found := re.search(title, page, re.I | re.S)) and (words := _bare(found[1])):
            is_titled = kind.endswith("page")
            return f"{kind}, titled '{words}'" if is_titled else f"{kind}: {words}"
    words = _bare(page)
    return f"{kind}: {words}" if words else f"an empty {kind.removeprefix('an ')}"


def _bare(page: str) -> str:
    return one_line(html.unescape(_TAG.sub(" ", page)), 200)


def events(text: str) -> Iterator[Any]:
    """The JSON objects of an event stream (`data: {...}`), or of lines of JSON; others are passed
    over."""
    for line in text.splitlines():
        piece = line.strip().removeprefix("data:").strip()
        if piece.startswith("{"):
            try:
                yield json_of(piece)
            except ValueError:
                continue
