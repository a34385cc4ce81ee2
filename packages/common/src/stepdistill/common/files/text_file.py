"""Text files as people have them: packed or not, in the encodings that spreadsheets write.

UTF-8, UTF-16 and cp1252 are found, and what looks like none of them is refused, not guessed at: a
wrong guess is paid for. Why by rules of our own: decision 30.
"""

import bz2
import codecs
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO, cast

import zstandard

from stepdistill.common.errors import DatasetError

# What the readers of packed files raise where one is cut off, or its bytes have changed.
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, zstandard.ZstdError)
_READ_BYTES = 1 << 18  # of a file at a time
_GZIP, _ZSTD, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
_XZ, _BZIP2 = b"\xfd7zXZ\x00", re.compile(rb"BZh[1-9]1AY&SY")
_MAGIC = 10  # bytes that all of them are known by
_OFFICE = "[Content_Types].xml"  # in every zip of Office
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Bytes between ASCII letters, by what they are in cp1252: letters, such as `ü` of `für`, and what
# only other encodings have there, such as `³` or `Ÿ`; and runs, which other alphabets make.
_LETTER = re.compile(rb"(?<=[A-Za-z])[\x9c\xc0-\xd6\xd8-\xf6\xf8-\xff](?=[A-Za-z])")
_ODD = re.compile(
    rb"(?<=[A-Za-z])"
    rb"[\x80-\x91\x93-\x95\x98-\x9b\x9d-\x9f\xa1-\xb3\xb5\xb6\xb8-\xbf\xd7\xf7](?=[A-Za-z])"
)
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_HIGH, _RUN = re.compile(rb"[\x80-\xff]"), re.compile(rb"[\x80-\xff]{3,}")
_MOST_ODD, _MOST_IN_RUNS = 0.1, 0.3  # shares that a text in cp1252 stays below


def open_bytes(path: Path) -> BinaryIO:
    """A file's bytes, unpacked where they are packed, whatever its name says."""
    file = cast(io.BufferedReader, path.open("rb", _READ_BYTES))
    start = file.peek(_MAGIC)[:_MAGIC]
    if start.startswith(_ZSTD):
        return io.BufferedReader(_Unpacked(file), _READ_BYTES)
    opened: Any = file
    for begins, unpack in (
        (start.startswith(_GZIP), gzip.open),
        (start.startswith(_XZ), lzma.open),
        (_BZIP2.match(start), bz2.open),
        (start.startswith(_ZIP), _open_zip),
    ):
        if begins:
            file.close()
            opened = unpack(path, "rb")
    return cast(BinaryIO, opened)


def _open_zip(path: Path, mode: Literal["rb"]) -> BinaryIO:
    return cast(BinaryIO, zipfile.ZipFile(path).open(packed_name(path)))


def packed_name(path: Path) -> str:
    """The name of the only file in a zip. Raises DatasetError, OSError, BadZipFile."""
    with zipfile.ZipFile(path) as packed:
        # macOS puts notes of its own beside what it packs.
        names = [name for name in packed.namelist() if not name.startswith("__MACOSX/")]
    if _OFFICE in names:
        raise DatasetError(f"{path}: is a spreadsheet: name it .xlsx")
    files = [name for name in names if not name.endswith("/")]
    if len(files) != 1:
        some = ", ".join(files[:3])
        raise DatasetError(f"{path}: holds {len(files)} files ({some}): unpack it, and name one")
    return files[0]


def open_text(path: Path) -> TextIO:
    """A file's text, its line ends as they are. Raises DatasetError, OSError."""
    encoding = encoding_of(path)
    return io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="")


def encoding_of(path: Path) -> str:
    """A file's encoding, as Python calls it; found once, as long as the file stays as it is.
    Raises DatasetError, OSError."""
    stat = path.stat()
    return _encoding(path, stat.st_size, stat.st_mtime_ns)


class _Unpacked(io.RawIOBase):
    """What a file of Zstandard frames holds; EOFError where the last one has no end."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file, self._frame = file, zstandard.ZstdDecompressor().decompressobj()
        self._packed = self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        while not self._ready:
            self._packed = self._packed or self._file.read(_READ_BYTES)
            if not self._packed:
                if not self._frame.eof:
                    raise EOFError("the last frame has no end")
                return 0
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._ready = self._frame.decompress(self._packed)
            self._packed = self._frame.unused_data
        n = min(len(buffer), len(self._ready))
        buffer[:n], self._ready = self._ready[:n], self._ready[n:]
        return n

    def close(self) -> None:
        self._file.close()
        super().close()


@lru_cache(64)
def _encoding(path: Path, size: int, mtime_ns: int) -> str:
    """Reads all of the file: what is not UTF-8 may come late."""
    n_lines, chunk = 0, b""
    try:
        with open_bytes(path) as file:
            chunk = file.read(_READ_BYTES)
            marked = next((name for bom, name in _BOMS if chunk.startswith(bom)), None)
            encoding = marked or _utf16_without_mark(chunk) or "utf-8"
            if not encoding.startswith("utf-8"):
                return encoding
            decoder = codecs.getincrementaldecoder("utf-8")()
            while chunk:
                decoder.decode(chunk)
                n_lines += chunk.count(b"\n")
                chunk = file.read(_READ_BYTES)
            decoder.decode(b"", final=True)
            return encoding
    except UnicodeDecodeError as error:
        line = n_lines + error.object.count(b"\n", 0, error.start) + 1
        return _not_utf8(path, f"byte 0x{error.object[error.start]:02x} in line {line}")
    except DAMAGED:
        raise DatasetError(
            f"{path}: the packed file is cut off or damaged after line {n_lines}"
        ) from None


def _utf16_without_mark(start: bytes) -> str | None:
    """Where every other byte is zero, as in text that is mostly English."""
    first, second = start[::2].count(0), start[1::2].count(0)
    if max(first, second) <= len(start) / 4 or min(first, second) > len(start) / 16:
        return None
    return "utf-16-le" if second > first else "utf-16-be"


def _not_utf8(path: Path, where: str) -> str:
    """cp1252 where the bytes are such as Western languages make of it; DatasetError elsewhere."""
    counts, decoder = Counter[str](), codecs.getincrementaldecoder("utf-8")("replace")
    with open_bytes(path) as file:
        while chunk := file.read(_READ_BYTES):
            text = decoder.decode(chunk)
            bad = text.count("\ufffd")
            counts["bad"] += bad
            counts["good"] += len(text) - len(text.encode("ascii", "ignore")) - bad
            counts["high"] += len(_HIGH.findall(chunk))
            counts["in runs"] += sum(map(len, _RUN.findall(chunk)))
            counts["letters"] += len(_LETTER.findall(chunk))
            counts["odd"] += len(_ODD.findall(chunk))
            counts["undefined"] += len(_UNDEFINED.findall(chunk))
    if counts["good"] > counts["bad"]:
        raise DatasetError(f"{path}: {where} is not UTF-8, though the rest is: mend the line")
    is_odd = counts["odd"] > _MOST_ODD * (counts["odd"] + counts["letters"])
    is_odd = is_odd or counts["in runs"] > _MOST_IN_RUNS * counts["high"]
    if is_odd or counts["undefined"]:
        raise DatasetError(
            f"{path}: neither UTF-8 ({where}) nor cp1252, by its looks: save it as UTF-8, as by "
            f"`iconv -f ENCODING -t UTF-8`"
        )
    return "cp1252"
