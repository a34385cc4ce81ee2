"""How long a run takes, and what it needs, by what its parts cost: a simulator, round by round.

A run starts, asks, and writes its shards; what is asked goes as fast as the slowest of what it
passes: the servers, a limit, the process that keeps answers, those that ask, the machine's cores.
Costs of the parts are measured (`scale.py`), never fitted to the runs that are predicted.
"""

import math
from dataclasses import dataclass, replace

# Rows of small files stay in memory, which a run reads them by: up to so many, of so large a file.
KEPT_ROWS, KEPT_MB = 100_000, 32
LIMIT = "a limit"
_LIMIT_SHARE = 0.99  # of a limit that is used
_FIRST = 64  # requests in flight at first, where none is named; then twice as many a round


@dataclass(frozen=True, slots=True, kw_only=True)
class AskCosts:
    """Microseconds of CPU for a request, by who takes them."""

    run: float  # the run's process: it keeps the answer, and asks where no workers do
    worker: float = 0.0  # a worker
    ray: float = 0.0  # Ray's own processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What the parts of a run cost on this machine. us: microseconds of CPU; MB: 2**20 bytes."""

    start_s: float  # a run of one row, from its start to its end
    start_cpu_s: float
    first_s: float  # once a run that asks: connections, the store's dictionary
    at_once: AskCosts  # answers come as fast as they are asked for: what is fastest
    slow: AskCosts  # they come one by one
    pacing: float  # of a core, as long as a limit is waited for
    write_us: float  # a row: answer read again, record written, by one process
    look_us: float  # a row of another shard, which is read and left out
    join_s: float  # shards and stores of two runs become one's: what it takes for no rows
    join_us: float  # and for each row
    fleet_start_s: float  # a run of one row by one worker, less start_s and what it takes itself
    fleet_start_cpu_s: float  # of its process, less start_cpu_s
    fleet_worker_s: float  # of CPU, of a worker that asks nothing: Python, Ray, our modules
    fleet_at_once: AskCosts
    fleet_slow: AskCosts
    fleet_calls_us: float  # a request, in the run's process, for each further worker that it calls
    server_us: float  # in the server of the benchmark, which shares the machine
    store_bytes: float  # a row, of a compacted store; one that is written to has some free pages
    shard_bytes: float  # a row, its manifest included
    memory_mb: float  # of a run, without rows
    fleet_memory_mb: float  # of a run whose workers ask
    row_bytes: float  # of memory, for each row of a small file
    id_bytes: float = 8.0  # likewise, of any file: by which ids that stand twice are found


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A run that is to be predicted."""

    rows: int
    answer_s: float  # that a server takes for one answer; 0: at once
    in_flight: int  # requests at a time, all workers together
    per_s: float = math.inf  # requests a second that a limit allows
    workers: int = 0  # of a Ray cluster; 0: the run itself asks
    shards: int = 1  # runs that do a part of the rows each, at the same time; then joined
    cores: int | None = None  # that all processes share, the server's too; None: a core for each
    kept_bytes: float = math.inf  # of a row in its file
    is_told: bool = True  # in_flight is named, else it is found by growing


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What comes of it."""

    start_s: float
    ask_s: float
    write_s: float
    join_s: float  # of several shards
    cpu_s: float  # of the runs' own processes
    store_mb: float  # all stores together
    shard_mb: float
    memory_mb: float  # of one run's process, the store's map left out
    per_s: float  # answers a second once all are at work
    bottleneck: str  # what bounds that

    @property
    def wall_s(self) -> float:
        """From the first command to the last row."""
        return self.start_s + self.ask_s + self.write_s + self.join_s


def predict(setup: Setup, costs: Costs) -> Prediction:
    """Simulate a run."""
    per_s, bottleneck = _rate(setup, costs)
    runs_at_a_time = _at_a_time(setup.shards, setup)
    is_joined = setup.shards > 1
    start_s, start_cpu_s = costs.start_s * setup.shards / runs_at_a_time, costs.start_cpu_s
    memory_mb = costs.memory_mb
    if setup.workers:
        # Starting is nothing but CPU: workers start side by side, as far as there are cores.
        rounds = setup.workers / _at_a_time(setup.workers, setup)
        start_s += costs.fleet_start_s + rounds * costs.fleet_worker_s
        start_cpu_s += costs.fleet_start_cpu_s
        memory_mb = costs.fleet_memory_mb
    rows = math.ceil(setup.rows / setup.shards)  # of one run; the first looks at all ids
    start_s += (setup.rows - rows) * costs.look_us / 1e6
    start_cpu_s += (setup.rows - rows) * costs.look_us / 1e6
    is_small = rows <= KEPT_ROWS and setup.rows * setup.kept_bytes <= KEPT_MB << 20
    row_mb = (costs.row_bytes * rows if is_small else costs.id_bytes * setup.rows) / 2**20
    write_s = setup.rows * costs.write_us / 1e6
    join_s = is_joined * (costs.join_s + setup.rows * costs.join_us / 1e6)
    ask_s = _asking_s(setup, per_s) + (0.0 if setup.answer_s else costs.first_s)
    asked_s = setup.rows * _ask_costs(setup, costs).run / 1e6
    if bottleneck == LIMIT and not setup.workers:
        asked_s += costs.pacing * ask_s
    return Prediction(
        start_s=start_s,
        ask_s=ask_s,
        write_s=write_s / runs_at_a_time,
        join_s=join_s,
        cpu_s=(start_cpu_s + costs.first_s) * setup.shards + asked_s + write_s + join_s,
        store_mb=setup.rows * costs.store_bytes / 2**20,
        shard_mb=setup.rows * costs.shard_bytes / 2**20,
        memory_mb=memory_mb + row_mb,
        per_s=per_s,
        bottleneck=bottleneck,
    )


def _at_a_time(processes: int, setup: Setup) -> int:
    """How many of them compute at one time."""
    return min(processes, setup.cores or processes)


def _ask_costs(setup: Setup, costs: Costs) -> AskCosts:
    if setup.workers and setup.answer_s:
        calls_us = (setup.workers - 1) * costs.fleet_calls_us
        return replace(costs.fleet_slow, run=costs.fleet_slow.run + calls_us)
    if setup.workers:
        return costs.fleet_at_once
    return costs.slow if setup.answer_s else costs.at_once


def _rate(setup: Setup, costs: Costs) -> tuple[float, str]:
    """Answers a second once all are at work, and what bounds them."""
    # Where a processor is the bottleneck, answers wait for it, and many come at once.
    each = costs.fleet_at_once if setup.workers else costs.at_once
    rates = {
        "the run's process": setup.shards * 1e6 / each.run,
        LIMIT: setup.per_s * _LIMIT_SHARE,
    }
    if setup.workers:
        rates["the workers"] = setup.workers * 1e6 / each.worker
    if setup.cores is not None:
        all_us = each.run + each.worker + each.ray + costs.server_us
        rates["the cores"] = setup.cores * 1e6 / all_us
    if setup.answer_s:
        rates["the servers"] = setup.in_flight / setup.answer_s
    slowest = min(rates, key=lambda what: rates[what])
    return rates[slowest], slowest


def _asking_s(setup: Setup, per_s: float) -> float:
    """Seconds from the first request to the last answer: a probe by each who asks, rounds of a
    growing window, then the rate; the last answers come in a round of their own."""
    askers = max(1, setup.workers, setup.shards)
    left, seconds = float(setup.rows - askers), setup.answer_s
    window = float(setup.in_flight if setup.is_told else min(setup.in_flight, _FIRST * askers))
    while left > 0 and window < setup.in_flight:
        done = min(window, per_s * setup.answer_s, left)
        left, seconds = left - done, seconds + setup.answer_s
        window = min(2 * window, setup.in_flight)
    rounds = math.ceil(max(left, 0.0) / setup.in_flight)
    # So many go at a time: where nothing else bounds them, the last few take as long as a round.
    return seconds + max(rounds * setup.answer_s, left / per_s + setup.answer_s)
