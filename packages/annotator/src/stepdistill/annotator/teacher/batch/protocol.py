"""The JSON of Files and Batches: what the teacher says of files, batches, and their requests."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue

CHAT = "/v1/chat/completions"
WINDOW = "24h"
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
RUN, PART, SUBMISSION = "stepdistill_run", "stepdistill_part", "stepdistill_submission"


def _none_if_empty(value: object) -> object:
    return value or None


# Met in the wild: "" where there is no file.
FileId = Annotated[str | None, BeforeValidator(_none_if_empty)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class RemoteModel(_Said):
    """A model that is served. shutdown_date: e.g. `2027-01-14`."""

    id: str
    shutdown_date: str | None = None


class ModelCards(_Said):
    """The models that are served."""

    data: list[RemoteModel] = []


class RemoteFile(_Said):
    """A file at the teacher's."""

    id: str
    filename: str = ""
    bytes: int | None = None


class BatchProblem(_Said):
    """Why a batch failed. line: of the input file, from 1, where it is one request's fault."""

    code: str | None = None
    message: str | None = None
    line: int | None = None


class _Problems(_Said):
    data: list[BatchProblem] | None = None


class _Counts(_Said):
    total: int = 0
    completed: int = 0
    failed: int = 0


class RemoteBatch(_Said):
    """A batch as the teacher sees it. created_at: seconds since 1970."""

    id: str
    status: str
    created_at: int = 0
    input_file_id: FileId = None
    output_file_id: FileId = None
    error_file_id: FileId = None
    errors: _Problems | None = None
    request_counts: _Counts | None = None
    metadata: dict[str, str] | None = None

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


class LineResponse(_Said):
    """The reply to one request."""

    status_code: int
    request_id: str | None = None
    body: JsonValue = None


class LineError(_Said):
    """Why a request has no reply, e.g. batch_expired."""

    code: str | None = None
    message: str | None = None


class ResultLine(_Said):
    """One line of an output or error file."""

    custom_id: str
    response: LineResponse | None = None
    error: LineError | None = None
