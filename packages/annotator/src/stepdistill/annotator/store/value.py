"""How an answer lies in the store: small, checked, and read without validating it twice.

    bytes 0-3   CRC-32 of the key and of all that follows
    byte 4      the number of the dictionary that it is compressed with, 0 for none
    the rest    zstd: the JSON array of the fields

The checksum covers the key, so that a value never passes for the answer to another request.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from zlib import crc32

import orjson
import zstandard

from stepdistill.annotator.store.answer import Answer, Failure, Usage

if TYPE_CHECKING:
    from collections.abc import ByteString  # what zstandard's types ask for

KEY_BYTES = 32  # a SHA-256
DICTIONARY_SAMPLES = 4_000
_DICTIONARY_BYTES = 16 << 10
_LEVEL = 3  # of zstd
_CRC_BYTES = 4
_FIRST_FIELDS = 4  # behind the usage: of the first answers that were stored


class DamagedValueError(Exception):
    """A value is not what was written; str(error) says in what."""


class Packer:
    """A maker of values, for one thread. dictionary: its number, from 1 to 255, and its bytes; None
    before there is one."""

    def __init__(self, dictionary: tuple[int, bytes] | None = None) -> None:
        self.number, content = dictionary or (0, b"")
        self._zstd = zstandard.ZstdCompressor(
            level=_LEVEL,
            dict_data=zstandard.ZstdCompressionDict(content) if content else None,
            write_checksum=False,
            write_dict_id=False,
        )
        self._head = bytes([self.number])

    def answer(self, key: bytes, answer: Answer) -> bytes:
        """The value of an answer."""
        return self._pack(key, payload_of(answer))

    def answers(self, answers: Sequence[tuple[bytes, Answer]]) -> list[bytes]:
        """The values of many answers, compressed in one go: whoever else computes meanwhile is
        disturbed once, and not for each of them."""
        if not answers:
            return []
        payloads: list[ByteString] = [payload_of(answer) for _, answer in answers]
        packed = self._zstd.multi_compress_to_buffer(payloads)
        return [sealed(self._head + packed[n].tobytes(), key) for n, (key, _) in enumerate(answers)]

    def failure(self, key: bytes, failure: Failure) -> bytes:
        """The value of a failure."""
        return self._pack(key, orjson.dumps([failure.reason, failure.detail]))

    def _pack(self, key: bytes, payload: bytes) -> bytes:
        return sealed(self._head + self._zstd.compress(payload), key)


class Unpacker:
    """A reader of values, for one thread; it raises DamagedValueError. dictionary_of: the bytes of
    a dictionary by number, None where there is none."""

    def __init__(self, dictionary_of: Callable[[int], bytes | None]) -> None:
        self._dictionary_of = dictionary_of
        self._zstd = {0: zstandard.ZstdDecompressor()}

    def answer(self, key: bytes, value: bytes) -> Answer:
        """The answer in a value."""
        try:
            text, finish, model, used, *rest = orjson.loads(self.payload(key, value))
            return Answer(text, finish, model, Usage.of(used), *rest)
        except (TypeError, ValueError):
            raise DamagedValueError("it does not hold the fields of an answer") from None

    def failure(self, key: bytes, value: bytes) -> Failure:
        """The failure in a value."""
        try:
            reason, detail = orjson.loads(self.payload(key, value))
        except (TypeError, ValueError):
            raise DamagedValueError("it does not hold the fields of a failure") from None
        return Failure(reason=reason, detail=detail)

    def payload(self, key: bytes, value: bytes) -> bytes:
        """What was sealed in a value."""
        body = unsealed(value, key)
        zstd = self._zstd.get(body[0]) or self._with_dictionary(body[0])
        try:
            return zstd.decompress(body[1:])
        except zstandard.ZstdError as error:
            raise DamagedValueError(f"it cannot be decompressed ({error})") from None

    def _with_dictionary(self, number: int) -> zstandard.ZstdDecompressor:
        content = self._dictionary_of(number)
        if content is None:
            raise DamagedValueError(f"the store has no dictionary {number}")
        dictionary = zstandard.ZstdCompressionDict(content)
        self._zstd[number] = zstandard.ZstdDecompressor(dict_data=dictionary)
        return self._zstd[number]


def payload_of(answer: Answer) -> bytes:
    """The fields of an answer as they are compressed, and as a dictionary is trained on them."""
    text, finish, model, usage, *rest = answer
    # Fields that came later are left out where they are empty: as answers were stored before.
    while rest[-1] is None and len(rest) > _FIRST_FIELDS:
        rest.pop()
    return orjson.dumps((text, finish, model, usage.counts, *rest))


def sealed(body: bytes, key: bytes) -> bytes:
    """The body behind a checksum over key and body."""
    return crc32(body, crc32(key)).to_bytes(_CRC_BYTES) + body


def unsealed(value: bytes, key: bytes) -> bytes:
    """The body, if it is whole. Raises DamagedValueError."""
    body = value[_CRC_BYTES:]
    if not _fits(value, body, key):
        raise DamagedValueError("its checksum does not match")
    return body


def is_whole(value: bytes, key: bytes) -> bool:
    """Whether a body stands behind the checksum that it was sealed with."""
    return _fits(value, value[_CRC_BYTES:], key)


def _fits(value: bytes, body: bytes, key: bytes) -> bool:
    return bool(body) and crc32(body, crc32(key)) == int.from_bytes(value[:_CRC_BYTES])


def train(payloads: list[bytes]) -> bytes | None:
    """A dictionary for payloads like these; None where they are too few or too short for one."""
    samples: list[ByteString] = [*payloads]
    try:
        return zstandard.train_dictionary(_DICTIONARY_BYTES, samples, level=_LEVEL).as_bytes()
    except zstandard.ZstdError:
        return None
