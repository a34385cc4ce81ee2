"""Journeys use the commands as people do: the installed `annotate`, real files, a live teacher."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.simulator.server import Simulator
from tests.warm import WarmProcess, plain_environment

ROOT = Path(__file__).resolve().parents[2]
ANNOTATE = Path(sys.executable).parent / "annotate"
REAL_DATA = ROOT.parent / "shared" / "data"


MOOD_TASK = """\
task: mood
fields: {text: text}
label: {kind: classes, classes: {joyful: {}, gloomy: {}}}
gold: label
student: {input: "{text}"}
"""
MOOD_TEMPLATES = """\
templates:
- {id: one, user: "Joyful or gloomy? {text}"}
- {id: odd, user: "In one word, joyful or gloomy: {text}"}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The object that --json printed."""
        return json.loads(self.out)


Annotate = Callable[..., Done]


@pytest.fixture
def annotate(tmp_path: Path, warm_annotate: WarmProcess) -> Annotate:
    """Runs `annotate` with these words, in an empty folder and without a key."""

    def run(*words: str | Path) -> Done:
        done = warm_annotate.start(*words, cwd=tmp_path, env=plain_environment()).wait()
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

    return run


def started(folder: Path, *words: str | Path, **environment: str) -> Done:
    """How the installed `annotate` ended, in an environment that is read as Python starts."""
    done = subprocess.run(
        [ANNOTATE, *words],
        cwd=folder,
        env=plain_environment(**environment),
        capture_output=True,
        text=True,
        timeout=100,
    )
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


Reach = Callable[[Simulator], str]


@pytest.fixture(params=["plain", pytest.param("aiohttp", marks=pytest.mark.slow)])
def reach(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Reach:
    """The base URL of a teacher over either transport: directly, or through a proxy.

    The teacher is the proxy too: it serves whatever host is asked for.
    """

    def through_a_proxy(teacher: Simulator) -> str:
        monkeypatch.setenv("http_proxy", teacher.base_url.removesuffix("/v1"))
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("NO_PROXY", "")
        return "http://teacher.example/v1"

    return through_a_proxy if request.param == "aiohttp" else lambda teacher: teacher.base_url


def write_mood(folder: Path, n_rows: int) -> None:
    """A task, and its rows: `text number N,`."""
    task = folder / "prompts" / "mood"
    task.mkdir(parents=True)
    (task / "task.yaml").write_text(MOOD_TASK)
    (task / "templates.yaml").write_text(MOOD_TEMPLATES)
    rows = [json.dumps({"text": f"text number {n},", "label": "joyful"}) for n in range(n_rows)]
    (folder / "rows.jsonl").write_text("\n".join(rows))


@pytest.fixture
def mood(tmp_path: Path) -> None:
    """A task of 400 rows."""
    write_mood(tmp_path, 400)


@pytest.fixture
def real_data() -> Path:
    """The folder of real datasets and answers; a test that needs it is skipped without."""
    if not REAL_DATA.is_dir():
        pytest.skip("no real data beside the checkout (../shared/data)")
    return REAL_DATA


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every shard, rejects file and manifest below a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
