"""A table written as Parquet: each column of one type, which is known once all rows are there.

Values of several kinds in one column, which Parquet has no place for, become texts. The rows are
held until then, by columns: a fraction of what they take as Python's objects.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import pyarrow
import pyarrow.parquet

from stepdistill.common.tables.cells import Row, cell

_ROWS = 8192  # of a group
_pa, _parquet = cast(Any, pyarrow), cast(Any, pyarrow.parquet)  # they have no types
_NOT_ONE_TYPE = (_pa.lib.ArrowException, ValueError, TypeError, OverflowError)
_Columns = dict[str, Any]  # name -> its values, as Arrow has them


@contextmanager
def parquet_table(file: BinaryIO, columns: Sequence[str]) -> Generator[Callable[[Row], None]]:
    """To be called with each row; all is written in the end. Raises OSError."""
    waiting: list[Row] = []
    groups: list[_Columns] = []

    def flush() -> None:
        groups.append({name: _array([row.get(name) for row in waiting]) for name in columns})
        waiting.clear()

    def write(row: Row) -> None:
        waiting.append(row)
        if len(waiting) == _ROWS:
            flush()

    yield write
    if waiting or not groups:
        flush()
    for name in columns:
        _unite(groups, name)
    schema = _pa.schema([(name, groups[0][name].type) for name in columns])
    with _parquet.ParquetWriter(file, schema) as out:
        for group in groups:
            out.write_table(_pa.table(group, schema=schema))


def _array(values: list[object]) -> Any:
    try:
        return _pa.array(values)
    except _NOT_ONE_TYPE:
        return _texts(values)


def _texts(values: list[object]) -> Any:
    return _pa.array([None if value is None else cell(value) for value in values], _pa.string())


def _unite(groups: list[_Columns], name: str) -> None:
    """Give a column the same type in all groups."""
    types = {group[name].type for group in groups} - {_pa.null()}
    try:
        schemas = [_pa.schema([("", each)]) for each in types]
        united = _pa.unify_schemas(schemas, promote_options="permissive") if schemas else None
        wanted = united.field(0).type if united is not None else _pa.string()
        # A structure without parts has no place in a file either.
        _parquet.write_table(_pa.schema([("", wanted)]).empty_table(), _pa.BufferOutputStream())
        cast_to = [group[name].cast(wanted) for group in groups]
    except _NOT_ONE_TYPE:
        cast_to = [_texts(group[name].to_pylist()) for group in groups]
    for group, values in zip(groups, cast_to, strict=True):
        group[name] = values
