"""How the simulated Batch API behaves: its clock, its limits, and everything odd about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stepdistill.annotator.provider.profile import BatchProtocol
from stepdistill.annotator.simulator.batch.log import CallKind
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.reply import PAGES, REFUSALS
from stepdistill.common.errors import ConfigError

_DAY_S = 86_400.0
# What can befall a row: an error for its answer, an answer that is spoiled, or none at all.
_ROW_FAULTS = {*REFUSALS, Fault.DROPPED, Fault.CONTENT_FILTER, Fault.LENGTH, Fault.NO_USAGE}
_CALL_FAULTS = {*REFUSALS, *PAGES, Fault.DROPPED, Fault.LOST, Fault.TORN, Fault.NEVER}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTimes:
    """How long a batch stays in each state, in seconds of the simulator's clock, at least 0."""

    validating_s: float = 0.05
    running_s: float = 0.2  # for all of its rows, which are answered evenly over that time
    finalizing_s: float = 0.05
    cancelling_s: float = 0.1
    window_s: float = _DAY_S  # what "24h" comes to: then an unfinished batch expires; above 0

    def __post_init__(self) -> None:
        """Raises ConfigError on a negative time."""
        times = (self.validating_s, self.running_s, self.finalizing_s, self.cancelling_s)
        if min(times) < 0 or self.window_s <= 0:
            raise ConfigError("batch times: they must be at least 0, and window_s above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """What becomes of a batch. Shares are 0 to 1, drawn by seed, the batch's ordinal and the line.

    rows: one that fails goes to the error file and is not billed. Its rates are drawn by body, its
        script goes by line of the input file, from 0.
    finished: below 1, the batch stands still there until it expires or is cancelled, with its
        finished rows in the output, and billed.
    """

    times: BatchTimes = field(default_factory=BatchTimes)
    rows: FaultPlan = field(default_factory=FaultPlan)  # what befalls single rows
    finished: float = 1.0  # share of rows that it ever gets to
    unfinished_listed: bool = True  # the rest is in the error file (batch_expired); else nowhere
    fails: str | None = None  # the code of the error with which it fails: token_limit_exceeded
    repeated: float = 0.0  # share of rows that stand in the output twice (and are billed once)
    left_out: float = 0.0  # share of rows that were not answered and are nowhere
    strangers: int = 0  # lines of the output with a custom_id that nobody asked for
    blank_error_file_id: bool = False  # error_file_id is "", not null, where there is no such file

    def __post_init__(self) -> None:
        """Raises ConfigError on what is no share, and on faults that cannot befall a row."""
        if not all(0 <= share <= 1 for share in (self.finished, self.repeated, self.left_out)):
            raise ConfigError("batch plan: finished, repeated and left_out are shares, 0 to 1")
        if self.strangers < 0:
            raise ConfigError("batch plan: strangers must be at least 0")
        _check_faults(self.rows, _ROW_FAULTS, "row of a batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """What is allowed, a pool apart from the limits on chat; the defaults are OpenAI's."""

    requests_per_file: int = 50_000
    bytes_per_file: int = 200 * 2**20
    enqueued_tokens: int | None = None  # prompt tokens of a model that wait or run; None: no limit
    enqueued_refused: bool = False  # over it, the creation gets 429; else the batch fails after it
    creations: int = 2_000  # batches that may be created within creations_window_s
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

    calls: a script counts the calls of that kind. LOST does the work and loses the answer; TORN
        cuts a download in the middle of a line.
    """

    protocol: BatchProtocol = "openai"  # whose calls are served
    plan: BatchPlan = field(default_factory=BatchPlan)  # what becomes of a batch
    script: tuple[BatchPlan | None, ...] = ()  # and of the first ones created (None: plan)
    limits: BatchLimits = field(default_factory=BatchLimits)
    # What goes wrong with calls of each kind.
    calls: Mapping[CallKind, FaultPlan] = field(default_factory=dict[CallKind, FaultPlan])
    hidden_s: float = 0.0  # so long after its upload, a creation cannot find a file and is refused,
    hidden_fails: bool = False  # or, with this, makes a batch that fails
    kept_s: float = 30 * _DAY_S  # so long after they were made, files are gone (404)
    ranges: bool = True  # downloads heed Range
    silent_cut: bool = False  # a TORN download looks complete
    one_project: bool = False  # all API keys see the same files and batches; else each its own
    folder: Path | None = None  # where a temporary folder for files is made; None: the system's
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
