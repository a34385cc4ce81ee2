"""Words of others on a terminal: what would move its cursor, or turn letters round, is shown as
what it is; and a terminal that lacks a letter gets its number, not a traceback."""

import io
import re
import sys

# Control characters but tab and line feed, and what marks the direction of letters. (A zero width
# joiner stays: emoji and Hindi need it.)
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""A text with its control characters as escapes.

    >>> visible("done\x1b[2J")
    'done\\x1b[2J'
    """
    return _HIDDEN.sub(_escape, text) if _HIDDEN.search(text) else text


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """A text in one line that may be shown."""
    return visible(" ".join(text.split()))


def write_any_letter() -> None:
    """Let standard output and error write letters that their encoding lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
