"""A part: requests that go to the teacher as one file and one batch, and how far it has come.

    prepared -> uploading -> uploaded -> creating -> submitted -> collected
                                                               -> released

`uploading` and `creating` are written before the call is made: whoever finds a part in them does
not know whether the call reached the teacher, and asks there. A part is released when its requests
are given back unasked, and collected when each has its state.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from stepdistill.annotator.teacher.batch.protocol import PART, RUN, SUBMISSION, RemoteBatch

State = Literal[
    "prepared", "uploading", "uploaded", "creating", "submitted", "collected", "released"
]


class Stamp(BaseModel):
    """state: of ours or the teacher's. at: seconds since 1970."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: str
    at: float


class BatchPart(BaseModel):
    """What the ledger knows of one part. It holds no secret.

    run: the run that made it. sha256: of the file. tokens: of all prompts, estimated.
    model, endpoint: whom it asks. base_url: where that was reached.
    limit: the longest answer asked for, in tokens. remote: the batch's state as last seen.
    submission: how often a batch was started for it. done, failed: requests, as last seen.
    cancelled: an end was asked for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    run: str
    task: str
    sha256: str
    requests: int
    bytes: int
    tokens: int
    model: str
    endpoint: str
    base_url: str
    limit: int
    state: State = "prepared"
    remote: str | None = None
    file_id: str | None = None
    batch_id: str | None = None
    submission: int = 0
    done: int = 0
    failed: int = 0
    cancelled: bool = False
    history: tuple[Stamp, ...] = ()

    @property
    def file_name(self) -> str:
        """Its file, here."""
        return f"part-{self.number:06d}.jsonl"

    @property
    def remote_name(self) -> str:
        """Its file at the teacher's: how it is found again."""
        return f"{remote_prefix(self.run)}{self.sha256[:16]}.jsonl"

    @property
    def metadata(self) -> dict[str, str]:
        """What goes with the batch, so that a restart finds it."""
        said = {RUN: self.run, PART: self.sha256, SUBMISSION: str(self.submission)}
        return {**said, "task": self.task[:512]}

    @property
    def is_open(self) -> bool:
        """Whether its requests wait for it."""
        return self.state not in ("collected", "released")

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
        stamp = Stamp(state=state, at=at)
        return self.model_copy(
            update={"state": state, "history": (*self.history, stamp), **changes}
        )

    def seen(self, batch: RemoteBatch, at: float) -> "BatchPart":
        """The part with what the teacher says of its batch."""
        history = self.history
        if batch.status != self.remote:
            history = (*history, Stamp(state=batch.status, at=at))
        counts = batch.counts
        return self.model_copy(
            update={
                "remote": batch.status,
                "done": counts.completed,
                "failed": counts.failed,
                "history": history,
            }
        )


def remote_prefix(run: str) -> str:
    """How the names of a run's files begin, at the teacher's."""
    return f"stepdistill-{run}-"
