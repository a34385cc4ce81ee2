#!/usr/bin/env python3
"""The floor: the least that asking and reading again can cost with aiohttp, orjson and LMDB.

    floor.py ask   POST, read, parse, regex, JSON line, LMDB put (a transaction for each 256)
    floor.py fill  puts a reply to every row into LMDB
    floor.py warm  everything is in LMDB already: body, hash, get, parse, regex, JSON line

No retries, no limits, no care for crashes, one regex for a reader. Prints one JSON object; CPU time
is of the loop alone, without start-up.

Example:

    python benchmarks/floor.py ask --rows 20000 --base-url http://127.0.0.1:8900/d0/v1
"""

import argparse
import asyncio
import hashlib
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import lmdb
import orjson
import uvloop

from made_task import body, prompt, row
from measuring import allow_many_files
from static_server import completion

_LABELLED = re.compile(r"\s*Label:\s*(\w+)\s+Rationale:\s*(.+)", re.DOTALL)
_BUFFER = 1 << 20
_GROUP = 256


def key_of(request: bytes) -> bytes:
    """What a reply is stored under."""
    return hashlib.sha256(request).digest()


def json_line(ident: str, reply: bytes) -> bytes:
    """The line that a reply becomes."""
    text = orjson.loads(reply)["choices"][0]["message"]["content"]
    found = _LABELLED.match(text)
    assert found is not None
    line = {"id": ident, "label": found[1], "rationale": found[2], "raw": text}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


class GroupedPuts:
    """Replies on their way to LMDB, a transaction for each group."""

    def __init__(self, env: lmdb.Environment) -> None:
        self._env = env
        self._group: list[tuple[bytes, bytes]] = []

    def put(self, key: bytes, reply: bytes) -> None:
        self._group.append((key, reply))
        if len(self._group) == _GROUP:
            self.commit()

    def commit(self) -> None:
        with self._env.begin(write=True) as txn:
            for key, reply in self._group:
                txn.put(key, reply)
        self._group.clear()


async def ask(rows: Iterator[dict[str, str]], base_url: str, in_flight: int, folder: Path) -> None:
    """Ask for every row, so many at a time."""
    url = f"{base_url}/chat/completions"
    headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}

    async def worker() -> None:
        for made in rows:
            request = body(prompt(made))
            async with session.post(url, data=request) as response:
                reply = await response.read()
                assert response.status == 200
            out.write(json_line(made["id"], reply))
            puts.put(key_of(request), reply)

    with (
        lmdb.open(str(folder / "replies"), map_size=1 << 34, sync=False) as env,
        (folder / "lines.jsonl").open("wb", buffering=_BUFFER) as out,
    ):
        puts = GroupedPuts(env)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
            await asyncio.gather(*(worker() for _ in range(in_flight)))
        puts.commit()
        env.sync(True)


def fill(rows: Iterator[dict[str, str]], reply: bytes, folder: Path) -> None:
    """Put the same reply under every row's key."""
    with lmdb.open(str(folder / "replies"), map_size=1 << 35, sync=False) as env:
        puts = GroupedPuts(env)
        for made in rows:
            puts.put(key_of(body(prompt(made))), reply)
        puts.commit()


def read_again(rows: Iterator[dict[str, str]], folder: Path) -> None:
    """Find every row's reply in LMDB and write its line."""
    with (
        lmdb.open(str(folder / "replies"), readonly=True, lock=False, map_size=1 << 35) as env,
        env.begin() as txn,
        (folder / "lines.jsonl").open("wb", buffering=_BUFFER) as out,
    ):
        for made in rows:
            reply = txn.get(key_of(body(prompt(made))))
            assert reply is not None
            out.write(json_line(made["id"], reply))


def rows_of(n: int, file: Path | None) -> Iterator[dict[str, str]]:
    """n rows, made as they are needed or read from the file that `annotate` reads."""
    if file is None:
        yield from map(row, range(n))
        return
    with file.open("rb", buffering=_BUFFER) as lines:
        yield from map(orjson.loads, lines)


def measured(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Do it, and say what it cost."""
    rows = rows_of(options.rows, options.file)
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    if options.what == "ask":
        uvloop.run(ask(rows, options.base_url.rstrip("/"), options.in_flight, folder))
    elif options.what == "fill":
        fill(rows, completion(), folder)
    else:
        read_again(rows, folder)
    wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_us_per_row": cpu_s / options.rows * 1e6, "rows_per_s": options.rows / wall_s}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("what", choices=["ask", "fill", "warm"])
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--file", type=Path, help="read the rows here; default: made in the loop")
    options.add_argument("--base-url", default="http://127.0.0.1:8900/d0/v1")
    options.add_argument("--in-flight", type=int, default=256)
    options.add_argument("--folder", type=Path, help="where LMDB and lines lie; default: temporary")
    given = options.parse_args()
    allow_many_files()
    with tempfile.TemporaryDirectory() as temporary:
        cost = measured(given, given.folder or Path(temporary))
    sys.stdout.write(orjson.dumps(cost).decode() + "\n")


if __name__ == "__main__":
    main()
