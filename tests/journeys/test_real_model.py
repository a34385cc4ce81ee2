"""A real model of 135 million parameters on llama.cpp's server with two slots: the whole way.

What it says is mostly wrong; what is tested is that every row is answered and counted once, that
nothing times out, and that structured answers can be read where free text often cannot.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import socket

import pytest

from tests.journeys import real_model
from tests.journeys.conftest import ROOT, Annotate

ROWS, TRIED = 8, 5
TASK = ROOT / "docs" / "guide" / "tickets.csv"
PRICES = (
    "models:\n  {model}:\n    - {{valid_from: 2026-01-01, source: mine, input: 0, output: 0}}\n"
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        real_model.weights() is None, reason=f"no model of our own here: {real_model.INSTALL}"
    ),
]


@pytest.fixture
def base_url(tmp_path: Path) -> Iterator[str]:
    """Where the model is served."""
    with closing(socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, real_model.__file__, str(port)]
    log = (tmp_path / "server.log").open("w")
    with (
        log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as server,
    ):
        assert server.stdin and server.stdout
        address = server.stdout.readline().strip()
        assert address, (tmp_path / "server.log").read_text()[-2000:]
        yield f"{address}/v1"
        server.stdin.close()
        server.wait(timeout=60)


def test_a_newcomers_way_with_a_model_of_ones_own(
    annotate: Annotate, tmp_path: Path, base_url: str
) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES.format(model=real_model.MODEL))
    teacher = ("--teacher", real_model.MODEL, "--base-url", base_url, "--max-tokens", "160")
    rows = ("--data", "data/tickets", "--timeout", "600")
    for words in (("new", "tickets", TASK, "--label", "team"), ("prompts", "check", "tickets")):
        done = annotate(*words)
        assert done.code == 0, done.err

    run = ("run", "tickets", *rows, *teacher, "--samples", str(ROWS), "--template", "structured")
    log = tmp_path / "run.jsonl"
    ran = annotate(*run, "--json", "--log", log)
    assert ran.code == 0, ran.err
    assert (ran.json["asked"], ran.json["rows"]) == (ROWS, ROWS)
    # Whatever was not cut off is JSON with one of the four names, as the server is held to.
    assert ran.json["rejected_by_reason"].keys() <= {"truncated"}
    assert ran.json["records"] >= ROWS - 2
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert "retry" not in events
    again = annotate(*run, "--json")
    assert (again.json["asked"], again.json["records"]) == (0, ran.json["records"])

    names = ("structured", "label-first")
    tried = annotate(
        *("experiment", "tickets", *rows, *teacher, "--test-size", str(TRIED)),
        *("--templates", ",".join(names), "--json"),
    )
    assert tried.code == 0, tried.err
    ranking = {place["template"]: place for place in tried.json["ranking"]}
    assert {name: ranking[name]["rows"] for name in names} == dict.fromkeys(names, TRIED)
    assert tried.json["asked"] + tried.json["cached"] == 2 * TRIED

    report = annotate("report", "runs/tickets", "--json", "--html", "cost.html")
    assert report.code == 0, report.err
    assert (tmp_path / "cost.html").stat().st_size > 5_000
