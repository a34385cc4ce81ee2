"""The benchmarks run, say what they measure, and keep what they saw; their server answers right."""

import json
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
BENCHMARKS = (
    "all_cores",
    "annotate_throughput",
    "audit_coverage",
    "batch_api",
    "race_templates",
    "read_answers",
    "serve",
    "soak",
    "soft_labels",
    "train_step",
    "warm_rerun",
    "what_if_coverage",
)
QUICK = ("read_answers",)  # of every test run
SCRIPTS = (
    *BENCHMARKS,
    *("collapse", "export_speed", "floor", "scale", "scale_tables", "static_server"),
)
BODY = b'{"model": "bench", "messages": []}'


def run(name: str, *arguments: str | Path) -> str:
    command = [sys.executable, FOLDER / f"{name}.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in BENCHMARKS]
)
def test_a_smoke_run_keeps_every_sample(name: str, tmp_path: Path) -> None:
    shown = run(name, "--smoke", "--check", "--json", tmp_path / "results.json")
    kept = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert kept["benchmark"] == name
    assert kept["at"] and kept["machine"]["cores"] and kept["machine"]["versions"]["aiohttp"]
    assert kept["raw"]
    for figure in kept["figures"]:
        assert figure["samples"] and figure["name"] in shown
    assert any(figure["at_most"] or figure["at_least"] for figure in kept["figures"])


def test_the_tables_on_scale_are_those_of_the_kept_costs() -> None:
    page = (FOLDER.parent / "docs" / "scale.md").read_text(encoding="utf-8")
    for table in run("scale_tables").strip().split("\n\n"):
        assert table in page


@pytest.mark.slow
def test_over_tls_the_cost_alone_is_measured() -> None:
    shown = run("annotate_throughput", "--smoke", "--tls")
    assert "with TLS" in shown and "<= 0.85" in shown and "at 300 ms" not in shown


@pytest.mark.slow
def test_a_third_of_the_rationales_is_set_against_all() -> None:
    assert "8 rows a step: a third / all" in run("train_step", "--smoke")


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_shows_an_example(name: str) -> None:
    assert f"python benchmarks/{name}.py" in run(name, "--help")


def test_the_readme_of_the_benchmarks_names_each() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [name for name in SCRIPTS if f"{name}.py" not in readme] == []


@pytest.fixture(scope="module")
def server() -> Generator[tuple[str, int]]:
    command = [sys.executable, FOLDER / "static_server.py"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin and child.stdout
        url = child.stdout.readline().decode().strip()
        yield "127.0.0.1", int(url.rpartition(":")[2])
        child.stdin.close()
        assert child.wait(10) == 0  # it ends with its standard input


def request(path: str, body: bytes = BODY) -> bytes:
    return b"POST %s HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (path.encode(), len(body)) + body


def replies(server: tuple[str, int], pieces: list[bytes], n: int) -> list[bytes]:
    """The bodies of the next n replies to what is sent piece by piece."""
    with socket.create_connection(server, timeout=10) as client:
        for piece in pieces:
            client.sendall(piece)
        with client.makefile("rb") as stream:
            return [read_reply(stream) for _ in range(n)]


def read_reply(stream: BinaryIO) -> bytes:
    length = 0
    while line := stream.readline().strip():
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return stream.read(length)


def test_the_server_answers_as_a_reader_reads(server: tuple[str, int]) -> None:
    (body,) = replies(server, [request("/v1/chat/completions")], 1)
    text = json.loads(body)["choices"][0]["message"]["content"]
    assert text.startswith("Label: entailment\nRationale: ")


@pytest.mark.parametrize("cut", [1, 20, 50, 75])
def test_a_request_may_come_in_pieces(server: tuple[str, int], cut: int) -> None:
    whole = request("/d1/v1/chat/completions")
    assert len(replies(server, [whole[:cut], whole[cut:]], 1)) == 1


def test_replies_keep_the_order_of_pipelined_requests(server: tuple[str, int]) -> None:
    slow, quick = request("/d50/v1/chat/completions"), request("/v1/nothing-here")
    first, second = replies(server, [slow + quick], 2)
    assert b"choices" in first
    assert b"no such page" in second


def test_the_server_counts_what_it_serves(server: tuple[str, int]) -> None:
    ask = b"GET /stats HTTP/1.1\r\n\r\n"
    replies(server, [ask], 1)
    replies(server, [request("/v1/chat/completions") * 7], 7)
    (said,) = replies(server, [ask], 1)
    served = json.loads(said)
    assert served["replies"] == sum(served["tenths"]) == 7
    assert served["first_s"] <= served["last_s"]
