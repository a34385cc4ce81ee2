"""A running `annotate view`, and a run whose texts would all be more than text."""

import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.journeys.conftest import ANNOTATE, MOOD_TASK, MOOD_TEMPLATES, Annotate
from tests.warm import plain_environment

HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\u202egnirts sdrawkcab\u2069 \x1b[2J\x1b]0;owned\x07",
    "'); DROP TABLE search; --",
    "{{7*7}} ${7*7} javascript:alert(1)",
)
ODD_LABEL = """it's "joyful" </script>"""


class Viewing:
    """A running `annotate view`."""

    def __init__(self, folder: Path, *words: str | Path, command: str = "view") -> None:
        """command: `view`, or another that serves such a page."""
        self.process = subprocess.Popen(
            [ANNOTATE, command, *words, "--port", "0", "--no-browser", "--index", folder / "index"],
            cwd=folder,
            env=plain_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        self.base, _, self.token = self.address.partition("/?token=")

    def get(self, path: str) -> Any:
        request = urllib.request.Request(
            self.base + path, headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def whole(self) -> dict[str, Any]:
        """The first page, once all rows are known and compared."""
        page = self.get("/api/rows")
        for _ in range(600):
            if page["state"] not in ("reading", "comparing"):
                break
            time.sleep(0.05)
            page = self.get("/api/rows")
        return page

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit code and what it said besides its address."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out + err


View = Callable[..., Viewing]


@contextmanager
def viewings(folder: Path) -> Generator[View]:
    """Starts `annotate view` with these words in a folder; every one is ended."""
    started: list[Viewing] = []

    def start(*words: str | Path, command: str = "view") -> Viewing:
        started.append(Viewing(folder, *words, command=command))
        return started[-1]

    try:
        yield start
    finally:
        for each in started:
            if each.process.poll() is None:
                each.end(signal.SIGKILL)
            for stream in (each.process.stdout, each.process.stderr):
                assert stream is not None
                stream.close()


def hostile_run(annotate: Annotate, folder: Path) -> None:
    """A run whose texts would all be more than text, and one of a megabyte."""
    prompts = folder / "prompts" / "mood"
    (prompts / "mixes").mkdir(parents=True)
    task = MOOD_TASK.replace("joyful", json.dumps(ODD_LABEL)).replace("gloomy", '"b&b <i>"')
    (prompts / "task.yaml").write_text(task, encoding="utf-8")
    (prompts / "templates.yaml").write_text(MOOD_TEMPLATES, encoding="utf-8")
    texts = [*HOSTILE, "long " * (1 << 18)]
    rows = [{"text": text[: 1 << 20], "label": ODD_LABEL} for text in texts]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    done = annotate(
        *("run", "mood", "--data", "rows.jsonl", "--template", "one", "--teacher", "simulated")
    )
    assert done.code == 0, done.err
