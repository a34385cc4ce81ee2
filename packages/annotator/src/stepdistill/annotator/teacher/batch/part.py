"""A part: requests that go to the teacher as one file and one batch, and how far it has come.

    prepared -> uploading -> uploaded -> creating -> submitted -> collected
                                                               -> released

`uploading` and `creating` are written before the call is made: whoever finds a part in them does
not know whether the call reached the server, and asks there. A part is released when its requests
are given back unasked, and collected when each has its state.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
CHAT = "/v1/chat/completions"  # that the requests of batches are for, as OpenAI has it
# Names in the metadata of a batch, which say whose it is.
RUN, PART, SUBMISSION = "stepdistill_run", "stepdistill_part", "stepdistill_submission"

State = Literal[
    "prepared", "uploading", "uploaded", "creating", "submitted", "collected", "released"
]


class RemoteObject(BaseModel):
    """An object that the server returns; fields that nobody reads here are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


_Id = Annotated[str, Field(min_length=1)]


class RemoteFile(RemoteObject):
    """A file on the server."""

    id: _Id
    filename: str = ""
    bytes: int | None = None


class BatchProblem(RemoteObject):
    """Why a batch failed."""

    code: str | None = None
    message: str | None = None
    line: int | None = None  # of the input file, from 1, where it is one request's fault


class _Problems(RemoteObject):
    data: list[BatchProblem] | None = None


class _Counts(RemoteObject):
    total: int = 0
    completed: int = 0
    failed: int = 0


def _none_if_empty(value: object) -> object:
    return value or None


_FileId = Annotated[str | None, BeforeValidator(_none_if_empty)]  # "" is met where there is none


class RemoteBatch(RemoteObject):
    """A batch as the teacher sees it, in OpenAI's words."""

    id: _Id
    status: str
    created_at: int = 0  # seconds since 1970
    input_file_id: _FileId = None
    output_file_id: _FileId = None
    error_file_id: _FileId = None
    errors: _Problems | None = None
    request_counts: _Counts | None = None
    metadata: dict[str, str] | None = None
    model: str | None = None  # that it asks, where that is said
    label: str | None = None  # its name, where it has one of ours

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ENDED

    @property
    def problems(self) -> list[BatchProblem]:
        """Why it failed, if it did."""
        return (self.errors and self.errors.data) or []

    @property
    def counts(self) -> _Counts:
        """How many of its requests are done; zeros where the teacher does not say."""
        return self.request_counts or _Counts()


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stamp(_Entry):
    """One step of a part's history."""

    state: str  # one of ours, or what the server calls the batch's
    at: float  # seconds since 1970


class BatchPart(_Entry):
    """What the ledger knows of one part. It holds no secret."""

    number: int
    run: str  # that made it
    task: str
    sha256: str  # of the file
    requests: int
    bytes: int
    tokens: int  # of all prompts, estimated
    model: str
    endpoint: str  # whom it asks, as in a request's key
    base_url: str  # where that was reached
    # Who serves it, by its name in providers.yaml; left out where that is nobody known.
    provider: str = Field(default="", exclude_if=lambda name: name == "")
    limit: int  # the longest answer asked for, in tokens
    # What an answer may be billed for beyond it; left out where that is nothing.
    beyond: int = Field(default=0, ge=0, exclude_if=lambda tokens: tokens == 0)
    state: State = "prepared"
    remote: str | None = None  # the batch's state as last seen
    file_id: str | None = None
    batch_id: str | None = None
    # Nobody can tell yet that this is its batch; left out where that is clear.
    is_unsure: bool = Field(default=False, exclude_if=lambda unsure: not unsure)
    # Batches that turned out to be somebody else's; left out where there are none.
    others: tuple[str, ...] = Field(default=(), exclude_if=lambda ids: not ids)
    submission: int = 0  # how often a batch was started for it
    done: int = 0  # requests, as last seen
    failed: int = 0  # likewise
    cancelled: bool = False  # an end was asked for
    history: tuple[Stamp, ...] = ()

    @property
    def longest(self) -> int:
        """The most tokens that one of its answers may be billed for."""
        return self.limit + self.beyond

    @property
    def file_name(self) -> str:
        """Its file, here."""
        return f"part-{self.number:06d}.jsonl"

    @property
    def remote_name(self) -> str:
        """Its file's name on the server, by which it is found again."""
        return f"{remote_prefix(self.run)}{self.sha256[:16]}.jsonl"

    @property
    def label(self) -> str:
        """The name of its batch, where batches have one, by which it is found again."""
        return f"{remote_prefix(self.run)}{self.sha256[:16]}-{self.submission}"

    @property
    def tags(self) -> dict[str, str]:
        """Which submission of which part a batch is of, as its metadata has it."""
        return {RUN: self.run, PART: self.sha256, SUBMISSION: str(self.submission)}

    @property
    def metadata(self) -> dict[str, str]:
        """What goes with the batch, so that a restart finds it."""
        return {**self.tags, "task": self.task[:512]}  # as long as a value may be

    @property
    def is_open(self) -> bool:
        """Whether its requests wait for it."""
        return self.state not in ("collected", "released")

    @property
    def is_unsent(self) -> bool:
        """Whether no batch was started for it, for all that is known."""
        return self.state in ("prepared", "uploaded")

    @property
    def may_be_paid(self) -> bool:
        """Whether a batch was started for it, or may have been."""
        return self.state in ("creating", "submitted")

    @property
    def began_at(self) -> float:
        """When it was made, in seconds since 1970."""
        return self.history[0].at

    def moved(self, state: State, at: float, **changes: object) -> "BatchPart":
        """The part in its next state."""
        history = (*self.history, Stamp(state=state, at=at))
        return self.model_copy(update={"state": state, "history": history, **changes})

    def seen(self, batch: RemoteBatch, at: float) -> "BatchPart":
        """The part with what the teacher says of its batch."""
        is_new = batch.status != self.remote
        stamps = (Stamp(state=batch.status, at=at),) if is_new else ()
        seen = {"done": batch.counts.completed, "failed": batch.counts.failed}
        history = (*self.history, *stamps)
        return self.model_copy(update={"remote": batch.status, "history": history, **seen})


def remote_prefix(run: str) -> str:
    """How the names of a run's files on the server begin."""
    return f"stepdistill-{run}-"
