"""Frames of a notebook: pandas, polars, Arrow or dicts in a list become rows, and rows a frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, cast

from stepdistill.common.errors import DatasetError
from stepdistill.common.files.json_file import RawRow
from stepdistill.common.free_name import free_name

_TAKEN = "a frame of pandas, polars or Arrow, or a list of dicts"
_NONE = ("NAType", "NaTType")  # how pandas calls what is not there


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The rows of a frame."""

    columns: tuple[str, ...]
    rows: tuple[RawRow, ...]
    index: Any = None  # the frame's own, where it is of pandas

    def joined(self, columns: Sequence[str], found: Sequence[RawRow]) -> Any:
        """The frame with more columns, as a frame of pandas; as a list of dicts where that is not
        installed. found: of each row, its values of these columns.

        A column that the frame has already keeps its name, and the new one is called `NAME_2`.
        """
        names = {column: free_name(column, self.columns) for column in columns}
        rows = [
            {**row, **{names[column]: values.get(column) for column in columns}}
            for row, values in zip(self.rows, found, strict=True)
        ]
        return frame_of(rows, [*self.columns, *names.values()], self.index)


def frame_of(rows: Sequence[RawRow], columns: Sequence[str], index: Any = None) -> Any:
    """Rows as a frame of pandas; as they are where that is not installed."""
    if find_spec("pandas") is None:
        return list(rows)
    # By name: only the trainer depends on it.
    return import_module("pandas").DataFrame(list(rows), columns=list(columns), index=index)


def read_frame(frame: object) -> Frame:
    """The rows of a frame. Raises DatasetError: it is none, it is empty, or two of its columns
    share a name."""
    is_pandas = hasattr(frame, "iloc") and hasattr(frame, "itertuples")
    found = _pandas_rows(frame) if is_pandas else _other_rows(frame)
    if not found:
        raise DatasetError("the frame holds no row")
    columns = tuple(dict.fromkeys(str(key) for row in found for key in row))
    plain = [{str(key): _plain(value) for key, value in row.items()} for row in found]
    return Frame(
        columns=columns,
        rows=tuple({column: row.get(column) for column in columns} for row in plain),
        index=cast(Any, frame).index if is_pandas else None,
    )


def _pandas_rows(frame: Any) -> list[Mapping[Any, Any]]:
    names = [str(name) for name in frame.columns]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DatasetError(f"the frame has two columns {twice[0]}: rename one")
    return [dict(zip(names, row, strict=True)) for row in frame.itertuples(index=False, name=None)]


def _other_rows(frame: Any) -> list[Mapping[Any, Any]]:
    for dicts in ("to_dicts", "to_pylist"):  # of polars, of Arrow
        if hasattr(frame, dicts):
            return getattr(frame, dicts)()
    if isinstance(frame, str | bytes | Mapping) or not hasattr(frame, "__iter__"):
        raise DatasetError(f"a {type(cast(object, frame)).__name__} is none: give {_TAKEN}")
    rows: list[Any] = list(frame)
    for row in rows:
        if not isinstance(row, Mapping):
            raise DatasetError(f"a row is a {type(row).__name__}: give {_TAKEN}")
    return rows


def _plain(value: Any) -> object:
    """A value as JSON has it: nothing for what is not a number, lists for arrays."""
    if value is None or type(value).__name__ in _NONE:
        return None
    if hasattr(value, "tolist"):  # of numpy: a number, or an array
        value = value.tolist()
    return None if isinstance(value, float) and value != value else value
