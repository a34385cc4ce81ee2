#!/usr/bin/env python3
"""What `annotate run` costs for each request, from rows to shards, against the floor.

`annotate` and the floor (floor.py) take turns at the same rows and the same server; CPU time is of
the whole process, less that of a run of one row. What asking alone costs is the run less a run that
only writes (--offline). With answers that take 300 ms, the server's own count says how near the
rate comes to the ideal, requests in flight / latency; without such a count, the run's own log.
With --tls both speak TLS to the server, as to every hosted teacher, and CPU alone is measured.

Example:

    python benchmarks/annotate_throughput.py --check --json benchmarks/results/throughput.json
    python benchmarks/annotate_throughput.py --tls --check
"""

import argparse
import json
import os
import sys
import tempfile
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import trustme

from annotate_command import Annotate
from made_task import MadeTask, make_task
from measuring import Figure, Results, allow_many_files, parser, report, run_measured
from static_server import Served, serving

FLOOR = Path(__file__).with_name("floor.py")
LATENCY_S = 0.3
WIDE, WIDEST = 256, 1024
COST_BAR, TLS_COST_BAR, IDEAL_BAR, RATE_BAR = 1.0, 0.85, 95.0, 2600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The tasks of one benchmark and the server. tiny: one row, for what starting costs."""

    server: str
    task: MadeTask
    tiny: MadeTask
    results: Results
    samples: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def keep(self, values: dict[str, float]) -> None:
        """Add one round's values."""
        for name, value in values.items():
            self.samples.setdefault(name, []).append(value)

    def floor(self, latency_s: float, in_flight: int) -> dict[str, float]:
        """One run of the floor."""
        url = base_url(self.server, latency_s)
        command = [sys.executable, FLOOR, "ask", "--rows", str(self.task.n), "--base-url", url]
        return json.loads(run_measured([*command, "--in-flight", str(in_flight)]).output)


def base_url(server: str, latency_s: float) -> str:
    """The address that answers after so many seconds."""
    return f"{server}/d{round(latency_s * 1000)}/v1"


def cost_round(bench: Bench) -> None:
    """CPU for each request, answers at once: the floor, then `annotate`."""
    n, url = bench.task.n, base_url(bench.server, 0)
    floor = bench.floor(0, WIDE)
    annotate = Annotate(task=bench.task, base_url=url, concurrency=WIDE)
    tiny = Annotate(task=bench.tiny, base_url=url, concurrency=WIDE)
    annotate.forget()
    whole, written = annotate.run(), annotate.run(offline=True)
    started, floor_us = tiny.run(), floor["cpu_us_per_row"]
    whole_us = (whole.cpu_s - started.cpu_s) / n * 1e6
    ask_us = (whole.cpu_s - written.cpu_s) / n * 1e6
    values = {
        "whole": whole_us,
        "ask": ask_us,
        "write": whole_us - ask_us,
        "start": started.cpu_s,
        "floor": floor_us,
        "whole/floor": whole_us / floor_us,
        "ask/floor": ask_us / floor_us,
    }
    bench.keep(values)
    bench.results.raw.append({"what": "cost", **values, "rate": n / whole.wall_s})


def rate_round(bench: Bench, in_flight: int) -> None:
    """Requests a second with slow answers: the floor, then `annotate`."""
    floor = bench.floor(LATENCY_S, in_flight)
    url = base_url(bench.server, LATENCY_S)
    annotate = Annotate(task=bench.task, base_url=url, concurrency=in_flight)
    annotate.forget()
    served(bench.server)
    whole = annotate.run()
    said = served(bench.server)
    if said:
        rate, middle = said.replies / (said.last_s - (said.first_s or 0)), middle_rate(said)
    else:
        rate = middle = bench.task.n / annotate.asking_s()
    values = {
        f"rate {in_flight}": rate,
        f"middle {in_flight}": middle,
        f"floor rate {in_flight}": floor["rows_per_s"],
        f"ideal {in_flight}": 100 * rate * LATENCY_S / in_flight,
        f"middle ideal {in_flight}": 100 * middle * LATENCY_S / in_flight,
    }
    bench.keep(values)
    bench.results.raw.append(
        {"what": "rate", **values, "cpu_s": whole.cpu_s, "served": said and asdict(said)}
    )


def served(server: str) -> Served | None:
    """What the server has served since it was last asked; None when it keeps no count."""
    try:
        with urllib.request.urlopen(f"{server}/stats", timeout=10) as reply:
            return Served(**json.loads(reply.read()))
    except (urllib.error.URLError, ValueError):
        return None


def middle_rate(said: Served) -> float:
    """Replies a second in the middle half of the time: without getting going and running dry."""
    quarter = len(said.tenths) // 4
    middle = said.tenths[quarter : len(said.tenths) - quarter]
    return 10 * sum(middle) / len(middle)


def make_certificate(folder: Path) -> Path:
    """A server's certificate and key; whoever is started from here on trusts them."""
    authority, certificate = trustme.CA(), folder / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    os.environ["SSL_CERT_FILE"] = str(folder / "authority.pem")
    return certificate


def figures(samples: dict[str, list[float]], cost_bar: float) -> list[Figure]:
    """The figures with their bars."""
    us, per_s, share = "us/request", "requests/s", "% of ideal"
    rows = [
        Figure(name="whole run / floor", samples=samples["whole/floor"], unit="x",
               at_most=cost_bar),
        Figure(name="asking / floor", samples=samples["ask/floor"], unit="x"),
        Figure(name="floor", samples=samples["floor"], unit=us),
        Figure(name="whole run", samples=samples["whole"], unit=us),
        Figure(name="  asking", samples=samples["ask"], unit=us),
        Figure(name="  writing", samples=samples["write"], unit=us),
        Figure(name="start-up, left out", samples=samples["start"], unit="s"),
    ]  # fmt: skip
    for n, ideal_bar, rate_bar in ((WIDE, IDEAL_BAR, None), (WIDEST, None, RATE_BAR)):
        if f"rate {n}" not in samples:
            continue
        at = f"{n:,} at {LATENCY_S * 1000:.0f} ms"
        rows += [
            Figure(name=at, samples=samples[f"ideal {n}"], unit=share, at_least=ideal_bar),
            Figure(name=f"{at}, middle half", samples=samples[f"middle ideal {n}"], unit=share),
            Figure(name=at, samples=samples[f"rate {n}"], unit=per_s, at_least=rate_bar),
            Figure(name=f"{at}, floor", samples=samples[f"floor rate {n}"], unit=per_s),
        ]
    return rows


def options() -> argparse.Namespace:
    given = parser(__doc__)
    given.add_argument("--rows", type=int, default=20_000, help="requests in a run (20,000)")
    given.add_argument("--server", metavar="URL", help="another server of /dN/v1, e.g. nginx")
    given.add_argument("--tls", action="store_true", help="over TLS, CPU alone")
    return given.parse_args()


def main() -> int:
    given = options()
    rows, rounds = (600, 1) if given.smoke else (given.rows, given.rounds)
    allow_many_files()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        certificate = make_certificate(Path(folder)) if given.tls else None
        server = stack.enter_context(serving(given.server, certificate))
        settings: dict[str, object] = {
            "rows": rows,
            "rounds": rounds,
            "server": given.server or f"static_server.py{' with TLS' if given.tls else ''}",
        }
        bench = Bench(
            server=server,
            task=make_task(Path(folder) / "task", rows),
            tiny=make_task(Path(folder) / "tiny", 1),
            results=Results(benchmark="annotate_throughput", settings=settings),
        )
        Annotate(task=bench.tiny, base_url=base_url(server, 0)).run()  # compiles the modules
        for _ in range(rounds):
            cost_round(bench)
        for in_flight in () if given.tls else (WIDE, WIDEST):
            for _ in range(max(1, rounds // 2)):
                rate_round(bench, in_flight)
    bench.results.figures = figures(bench.samples, TLS_COST_BAR if given.tls else COST_BAR)
    return report(bench.results, given)


if __name__ == "__main__":
    sys.exit(main())
