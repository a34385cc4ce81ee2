"""A value of a row as a cell of text, or within JSON: exactly, whatever a file of rows may hold."""

import base64
import json
from datetime import date, time
from typing import cast

import orjson

Row = dict[str, object]
_JSON = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME


def cell(value: object) -> str:
    """A value as a cell of text: nothing for None and NaN, JSON for what has parts.

    >>> cell(12345678901234567890), cell(None), cell(True), cell(["a", 1])
    ('12345678901234567890', '', 'true', '["a",1]')
    """
    if isinstance(value, str):
        return value
    if value is None or value != value:  # NaN alone is not itself
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return json_of(cast(object, value)).decode()
    return value if isinstance(value, str) else _plain(value)


def json_of(value: object) -> bytes:
    """A value as JSON on one line; integers of any length stay whole, NaN is null."""
    try:
        return orjson.dumps(value, default=_plain, option=_JSON)
    except orjson.JSONEncodeError:  # an integer above 64 bits
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
        return text.encode(errors="backslashreplace")


def _plain(value: object) -> str:
    """What JSON has no form for: times as ISO 8601 has them, bytes in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, date | time) else str(value)
