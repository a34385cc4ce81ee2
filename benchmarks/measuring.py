"""What all benchmarks share: CPU and memory of a child process, figures with bars, raw results.

CPU time is measured, not wall time, and as a ratio of runs that took turns: on a shared machine
absolute times drift, ratios hold.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

PACKAGES = (
    "stepdistill-annotator", "aiohttp", "lmdb", "orjson", "pydantic", "uvloop", "torch",
    "transformers", "deepspeed",
)  # fmt: skip
_BYTECODE = Path(__file__).resolve().parents[1] / ".cache" / "bytecode"
_POLL_S = 0.01
_MEMORY_EVERY_S = 0.1
_LONGEST_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a child process cost.

    rss_mb: the most memory seen at once, the mapped file of a store left out (None: not watched).
    """

    cpu_s: float
    wall_s: float
    rss_mb: float | None
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of a benchmark; at most one of the bars. samples: one for each round."""

    name: str
    samples: Sequence[float]
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return median(self.samples)

    @property
    def missed(self) -> bool:
        """Whether the bar is missed."""
        above = self.at_most is not None and self.value > self.at_most
        return above or (self.at_least is not None and self.value < self.at_least)

    @property
    def bar(self) -> str:
        """The bar as it is printed."""
        if self.at_most is not None:
            return f"<= {number(self.at_most)}"
        return "" if self.at_least is None else f">= {number(self.at_least)}"


@dataclass(slots=True, kw_only=True)
class Results:
    """Everything that one benchmark measured; raw: whatever else was seen, round by round."""

    benchmark: str
    settings: dict[str, object]
    figures: list[Figure] = field(default_factory=list[Figure])
    raw: list[dict[str, object]] = field(default_factory=list[dict[str, object]])


def run_measured(
    command: Sequence[str | Path], *, cwd: Path | None = None, watch_memory: bool = False
) -> Spent:
    """Run a command to its end. Raises RuntimeError with what it said when it fails."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        child = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            cwd=cwd, env=environment(),
        )  # fmt: skip
        status, usage, rss_mb = _wait(child.pid, watch_memory=watch_memory)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - start
        out.seek(0)
        err.seek(0)
        if child.returncode:
            said = err.read()[-2000:].decode(errors="replace")
            raise RuntimeError(f"{command}: exit {child.returncode}\n{said}")
        cpu_s = usage.ru_utime + usage.ru_stime
        return Spent(cpu_s=cpu_s, wall_s=wall_s, rss_mb=rss_mb, output=out.read().decode())


def _wait(pid: int, *, watch_memory: bool) -> tuple[int, resource.struct_rusage, float | None]:
    most, next_look, end = 0.0, 0.0, time.monotonic() + _LONGEST_S
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            return status, usage, most if watch_memory else None
        now = time.monotonic()
        if watch_memory and now >= next_look:
            most, next_look = max(most, rss_mb(pid)), now + _MEMORY_EVERY_S
        if now > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_S)


def rss_mb(pid: int) -> float:
    """Resident memory of a process in MB (2**20), without the map of an LMDB file."""
    try:
        lines = Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines()
    except OSError:  # it has just ended
        return 0.0
    total_kb, counts = 0, True
    for line in lines:
        if line.startswith("Rss:"):
            total_kb += int(line.split()[1]) if counts else 0
        elif "-" in line.split(" ", 1)[0]:
            counts = not line.endswith("data.mdb")
    return total_kb / 1024


def environment() -> dict[str, str]:
    """A key to send, no proxy, and modules kept compiled as on anybody's second run."""
    mine = {
        "OPENAI_API_KEY": "bench",
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONPYCACHEPREFIX": str(_BYTECODE),
    }
    left_out = {"PYTHONDONTWRITEBYTECODE"}
    return {**{k: v for k, v in os.environ.items() if k not in left_out}, **mine}


def allow_many_files() -> None:
    """Lift this process's limit of open files, and so its children's, as far as it goes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def parser(about: str | None, *, rounds: int = 5) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    made = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--smoke", action="store_true", help="a few seconds: does it run at all?")
    made.add_argument("--check", action="store_true", help="exit 1 when a figure misses its bar")
    made.add_argument("--json", type=Path, metavar="FILE", help="keep every sample in FILE")
    made.add_argument("--rounds", type=int, default=rounds, help=f"measure so often ({rounds})")
    return made


def report(results: Results, options: argparse.Namespace) -> int:
    """Print the figures, keep the raw results where --json says so; the exit code of --check."""
    print(f"{results.benchmark}: {', '.join(f'{k} {v}' for k, v in results.settings.items())}")
    print(table(("figure", "median", "from", "to", "unit", "bar", ""), map(_row, results.figures)))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(_content(results), indent=1) + "\n", encoding="utf-8")
    missed = [figure.name for figure in results.figures if figure.missed]
    if options.check and missed and not options.smoke:
        print(f"below the bar: {', '.join(missed)}", file=sys.stderr)
        return 1
    return 0


def _row(figure: Figure) -> tuple[str, ...]:
    least, most = number(min(figure.samples)), number(max(figure.samples))
    verdict = "" if not figure.bar else "MISSED" if figure.missed else "ok"
    return (figure.name, number(figure.value), least, most, figure.unit, figure.bar, verdict)


def _content(results: Results) -> dict[str, object]:
    figures = [
        {**asdict(figure), "median": figure.value, "missed": figure.missed}
        for figure in results.figures
    ]
    return {
        "benchmark": results.benchmark,
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "settings": results.settings,
        "figures": figures,
        "raw": results.raw,
    }


def machine() -> dict[str, object]:
    """Hardware and versions."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text(encoding="utf-8").splitlines() if cpus.exists() else []
    models = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return {
        "cpu": ", ".join(sorted(models)) or platform.processor(),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns aligned: the first to the left, the others to the right."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    adjust: list[Callable[[str, int], str]] = [str.ljust, *[str.rjust] * (len(head) - 1)]
    return "\n".join(
        "  ".join(put(cell, w) for put, cell, w in zip(adjust, line, widths, strict=True)).rstrip()
        for line in lines
    )


def number(value: float) -> str:
    """A number as a person reads it: 12,345 or 123.4 or 0.83."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{1 if abs(value) >= 100 else 2}f}"
