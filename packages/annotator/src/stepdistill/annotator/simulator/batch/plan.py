"""How the simulated Batch API behaves: its clock, its limits, and everything odd about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stepdistill.annotator.simulator.batch.books import CallKind
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.refusals import PAGES, REFUSALS
from stepdistill.common.errors import ConfigError

_DAY_S = 86_400.0
# What can befall a row: an error for its answer, an answer that is spoiled, or none at all.
_ROW_FAULTS = {*REFUSALS, Fault.DROPPED, Fault.CONTENT_FILTER, Fault.LENGTH, Fault.NO_USAGE}
_CALL_FAULTS = {*REFUSALS, *PAGES, Fault.DROPPED, Fault.LOST, Fault.TORN, Fault.NEVER}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPace:
    """How long a batch stays in each state, in seconds of the simulator's clock.

    running_s: for all of its rows, which are answered evenly over that time.
    window_s: what `24h` comes to: so long after its creation, an unfinished batch expires.
    """

    validating_s: float = 0.05
    running_s: float = 0.2
    finalizing_s: float = 0.05
    cancelling_s: float = 0.1
    window_s: float = _DAY_S

    def __post_init__(self) -> None:
        """Raises ConfigError on a negative time."""
        times = (self.validating_s, self.running_s, self.finalizing_s, self.cancelling_s)
        if min(times) < 0 or self.window_s <= 0:
            raise ConfigError("batch pace: times must be at least 0, and window_s above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """What becomes of a batch. Shares are drawn by seed, the batch's ordinal and the line.

    rows: what befalls single rows, drawn by body; one that fails goes to the error file and is not
        billed. Its script goes by line of the input file, from 0.
    finished: the share of rows that it ever gets to; below 1, it stands still until it expires or
        is cancelled, with its finished rows in the output, and billed.
    unfinished_listed: the rest is in the error file (batch_expired); else it is nowhere.
    fails: the code of the error with which it fails once it was created: token_limit_exceeded.
    repeated: the share of rows that stand in the output twice (and are billed once).
    left_out: the share of rows that were not answered and are nowhere.
    strangers: so many lines of the output have a custom_id that nobody asked for.
    blank_error_file_id: error_file_id is "" and not null where there is no error file.
    """

    pace: BatchPace = field(default_factory=BatchPace)
    rows: FaultPlan = field(default_factory=FaultPlan)
    finished: float = 1.0
    unfinished_listed: bool = True
    fails: str | None = None
    repeated: float = 0.0
    left_out: float = 0.0
    strangers: int = 0
    blank_error_file_id: bool = False

    def __post_init__(self) -> None:
        """Raises ConfigError on what is no share, and on faults that cannot befall a row."""
        if not all(0 <= share <= 1 for share in (self.finished, self.repeated, self.left_out)):
            raise ConfigError("batch plan: finished, repeated and left_out are shares, 0 to 1")
        if self.strangers < 0:
            raise ConfigError("batch plan: strangers must be at least 0")
        _check_faults(self.rows, _ROW_FAULTS, "row of a batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """What is allowed, a pool apart from the limits on chat; the defaults are OpenAI's.

    enqueued_tokens: prompt tokens of a model that may wait or run at a time; None for no limit.
    enqueued_refused: over it, the creation is refused (429); else the batch fails after it.
    creations: batches that may be created within creations_window_s seconds.
    """

    requests_per_file: int = 50_000
    bytes_per_file: int = 200 * 2**20
    enqueued_tokens: int | None = None
    enqueued_refused: bool = False
    creations: int = 2_000
    creations_window_s: float = 3_600.0

    def __post_init__(self) -> None:
        """Raises ConfigError unless every limit is above zero."""
        enqueued = 1 if self.enqueued_tokens is None else self.enqueued_tokens
        counts = (self.requests_per_file, self.bytes_per_file, self.creations, enqueued)
        if min(*counts, self.creations_window_s) <= 0:
            raise ConfigError("batch limits: every limit must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedBatchSettings:
    """The simulated Files and Batches endpoints.

    plan: what becomes of a batch; script: of the first ones in order of creation (None: plan).
    calls: what goes wrong with calls of each kind; a script counts the calls of that kind.
        LOST does the work and loses the answer; TORN cuts a download in the middle of a line.
    hidden_s: so long after its upload, a file cannot be found by a creation, which is refused, or,
        with hidden_fails, makes a batch that fails.
    kept_s: so long after they were made, files are gone (404).
    ranges: whether downloads heed Range. silent_cut: a TORN download looks complete.
    one_project: all API keys see the same files and batches; else each sees its own.
    folder: where a temporary folder for the files is made; None for the system's place.
    """

    plan: BatchPlan = field(default_factory=BatchPlan)
    script: tuple[BatchPlan | None, ...] = ()
    limits: BatchLimits = field(default_factory=BatchLimits)
    calls: Mapping[CallKind, FaultPlan] = field(default_factory=dict[CallKind, FaultPlan])
    hidden_s: float = 0.0
    hidden_fails: bool = False
    kept_s: float = 30 * _DAY_S
    ranges: bool = True
    silent_cut: bool = False
    one_project: bool = False
    folder: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ConfigError on faults that cannot befall a call."""
        for kind, plan in self.calls.items():
            _check_faults(plan, _CALL_FAULTS, f"call of {kind}")

    def plan_of(self, ordinal: int) -> BatchPlan:
        """The plan of the batch that was created as this one, counted from 0."""
        scripted = self.script[ordinal] if ordinal < len(self.script) else None
        return scripted or self.plan

    def fault(self, kind: CallKind, ordinal: int) -> Fault | None:
        """What goes wrong with the call of this kind that came as this one, counted from 0."""
        plan = self.calls.get(kind)
        return plan.fault(ordinal, kind.encode(), ordinal) if plan else None


def _check_faults(plan: FaultPlan, possible: set[Fault], what: str) -> None:
    meant = {*plan.rates, *(fault for fault in plan.script if fault)}
    if odd := meant - possible:
        raise ConfigError(f"{', '.join(sorted(odd))} cannot befall a {what}")
