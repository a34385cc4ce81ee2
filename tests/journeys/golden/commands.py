"""Many commands of `annotate`, one after another in one process: what a small one takes is imports.

The installed console script is called, by its name alone; so nothing here knows a module's name.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.journeys.conftest import Done

_MANY = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import entry_points

[script] = entry_points(group="console_scripts", name="annotate")
annotate, answer = script.load(), sys.stdout
for words in json.load(sys.stdin):
    sys.argv = ["annotate", *words]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            annotate()
        except SystemExit as left:
            code = left.code or 0
    json.dump({"code": code, "out": out.getvalue(), "err": err.getvalue()}, answer)
    answer.write("\\n")
"""

Words = tuple[str | Path, ...]


def many(folder: Path, *commands: Words) -> list[Done]:
    """How each of these commands ended, in this folder and without a key."""
    environment = {key: value for key, value in os.environ.items() if key != "OPENAI_API_KEY"}
    done = subprocess.run(
        [sys.executable, "-c", _MANY],
        cwd=folder,
        env=environment,
        input=json.dumps([[str(word) for word in words] for words in commands]),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return [Done(**json.loads(line)) for line in done.stdout.splitlines()]


def results(folder: Path, *commands: Words) -> list[dict[str, Any]]:
    """What each of these commands printed, with --json; all of them end well, or without a record:
    a store is read for rows that nobody answered, too."""
    ended = many(folder, *((*words, "--json") for words in commands))
    for words, done in zip(commands, ended, strict=True):
        assert done.code == 0 or "no row gave a record" in done.err, (words, done.err)
    return [done.json for done in ended]
