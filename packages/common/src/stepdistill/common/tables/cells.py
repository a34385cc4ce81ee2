"""A value of a row as a cell of text, or within JSON: exactly, whatever a file of rows may hold."""

from typing import cast

from stepdistill.common.files.json_file import json_of, mended, plain

Row = dict[str, object]


def cell(value: object) -> str:
    """A value as a cell of text: nothing for None and NaN, JSON for what has parts.

    >>> cell(12345678901234567890), cell(None), cell(True), cell(["a", 1])
    ('12345678901234567890', '', 'true', '["a",1]')
    """
    if isinstance(value, str):
        return mended(value)
    if value is None or value != value:  # NaN alone is not itself
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return json_of(cast(object, value)).decode()
    return plain(value)
