"""From a teacher's words, and a terminal's limits, to what a person sees: in real processes."""

from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import orjson
import pytest

from stepdistill.annotator.store.response_store import ResponseStore
from tests.annotator.made import an_answer
from tests.journeys.conftest import Annotate, started

ODD = "evil[/x]\x1b]0;t\x07\u202e\x9b2J"
HIDDEN = {"\x1b", "\x07", "\u202e", "\x9b"}
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


class Rude(BaseHTTPRequestHandler):
    """A teacher that refuses in words that are no words."""

    status: ClassVar[int] = 401

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = orjson.dumps({"error": {"message": f"no: {ODD}"}})
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test's output is its own."""


@pytest.fixture
def rude() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Rude)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_refusal_moves_no_cursor(annotate: Annotate, rude: str) -> None:
    done = annotate("run", "demo", "--teacher", "m", "--base-url", rude, "--samples", "3")

    assert done.code in (2, 3)
    assert r"evil[/x]\x1b]0;t\x07\u202e\x9b2J" in done.err
    assert not set(done.out + done.err) & HIDDEN


def test_names_in_a_store_are_no_markup(annotate: Annotate, tmp_path: Path) -> None:
    with ResponseStore.open(tmp_path / "store", write=True) as store:
        store.put([(b"\x01" * 32, an_answer(model=ODD, finish=ODD))], [])
    done = annotate("store", "info", "--store", str(tmp_path / "store"))

    assert done.code == 0
    assert done.out.count("evil[/x]") == 2
    assert not set(done.out + done.err) & HIDDEN
    as_json = annotate("store", "info", "--store", str(tmp_path / "store"), "--json")
    assert as_json.json["by_model"] == {ODD: 1}


@pytest.mark.parametrize("environment", [ASCII, {"PYTHONIOENCODING": "ascii"}])
def test_a_terminal_without_letters_gets_their_numbers(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    rows = [f"Größe {n},{('gut', 'schön', 'naïve 日本')[n % 3]}" for n in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    annotate = partial(started, tmp_path, "new", **environment)
    done = annotate("t", "rows.csv", "--label", "label")

    assert (done.code, "Traceback" in done.err) == (0, False)
    assert r"sch\xf6n" in done.out
    missing = annotate("u", "t\xf6pfchen.csv", "--label", "label")
    assert missing.code == 2
    assert "cannot be read (No such file or directory)" in missing.err
    as_json = annotate("v", "rows.csv", "--label", "label", "--json")
    assert "schön" in as_json.json["splits"]["train"]
