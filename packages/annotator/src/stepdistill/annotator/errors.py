"""What can go wrong with the teacher, and what each means for the run.

    TeacherError
      Transient(retry_after_s)   tried again
        RateLimited  Overloaded  ConnectionLost  TimedOut  BatchQueueFull
        Unreadable (PageInstead)  BrokenOff    a reply came, but no answer: a few tries at most
      Final                      never tried again
        BadRequest  TooLong  ContentRefused    this row is rejected, the run goes on
        FormatRefused                   asked without a format, then (`run/structured.py`)
        ParameterRefused                a field that every request of the run has
        Forbidden                       the row's, or the run's: the engine knows which
        NotFound                        of a batch or a file: what it means, its reader knows
        NotAuthorised (KeyRefused)  QuotaSpent  ModelGone  Unreachable  TeacherDown  CeilingReached
        AnswersUnread  RequestsRefused  AgainLater
                                           the run stops: one line, resumable
        BatchRefused  BatchLost

`teacher/error_reply.py` turns status codes and bodies into these; everybody else catches classes.
"""

from enum import Enum, auto
from typing import Self

from stepdistill.common.errors import DistillError


class Trouble(Enum):
    """What a failure that may pass says about how much is asked."""

    REFUSED = auto()  # not let in: too many at once, or in a while
    LATE = auto()  # let in, and not answered in time
    UNREACHED = auto()  # no connection: nobody has read the request
    FAILED = auto()  # nothing


class TeacherError(DistillError):
    """The teacher did not answer this request.

    may_be_paid: whether it may be billed all the same: nobody knows, where it was sent and no
    whole reply came back.
    """

    reason = "teacher_error"
    may_be_paid = False
    prompt_may_be_paid = False  # its prompt alone: it was read, and not answered

    def paid(self, *, maybe: bool) -> Self:
        """The same, where it is known better than by its class."""
        self.may_be_paid = maybe
        return self


class Transient(TeacherError):
    """Worth another try, not before retry_after_s seconds where the teacher said so.

    most_replies: how many such replies one request may have in all; None: as many as its tries.
    """

    reason = "teacher_unavailable"
    most_replies: int | None = None

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    @property
    def trouble(self) -> Trouble:
        """What it says about how much is asked."""
        return Trouble.FAILED


class RateLimited(Transient):
    """429: too many requests or tokens. slow_down: the rate grew too fast."""

    def __init__(
        self, message: str, retry_after_s: float | None = None, *, slow_down: bool = False
    ) -> None:
        super().__init__(message, retry_after_s)
        self.slow_down = slow_down

    @property
    def trouble(self) -> Trouble:
        return Trouble.REFUSED


class Overloaded(Transient):
    """500, 502, 503, 504: the server could not, for now. status: which."""

    def __init__(
        self, message: str, retry_after_s: float | None = None, *, status: int = 500
    ) -> None:
        super().__init__(message, retry_after_s)
        self.status = status

    @property
    def trouble(self) -> Trouble:
        return _TROUBLES.get(self.status, Trouble.FAILED)


class Unreadable(Transient):
    """A whole reply, and no answer can be read in it: once is an accident, twice is how it is."""

    reason = "unreadable_reply"
    may_be_paid = True
    most_replies = 2


class PageInstead(Unreadable):
    """A page for people with status 200: a gateway's, or there is no API at that address."""

    most_replies = 3


class BrokenOff(Transient):
    """A reply in which the server says that it gave up in the middle of the answer."""

    may_be_paid = True
    most_replies = 3


class ConnectionLost(Transient):
    """The connection was refused, dropped, or the answer torn."""

    may_be_paid = True

    @property
    def trouble(self) -> Trouble:
        return Trouble.FAILED if self.may_be_paid else Trouble.UNREACHED


class TimedOut(Transient):
    """No answer in time."""

    may_be_paid = True

    @property
    def trouble(self) -> Trouble:
        return Trouble.LATE if self.may_be_paid else Trouble.UNREACHED


# 498 is Groq's "no capacity", 529 Anthropic's "overloaded", 524 Cloudflare's time-out.
_TROUBLES = {
    **dict.fromkeys((498, 503, 529), Trouble.REFUSED),
    **dict.fromkeys((408, 504, 524), Trouble.LATE),
}


class BatchQueueFull(Transient):
    """More prompt tokens are enqueued in batches than the teacher lets: wait until some are done.

    limit_tokens: the limit, where the teacher named it.
    """

    def __init__(self, message: str, limit_tokens: int | None = None) -> None:
        super().__init__(message)
        self.limit_tokens = limit_tokens


class Final(TeacherError):
    """No other try would help."""


class BadRequest(Final):
    """400 and its kin: this request is wrong, others may be right."""

    reason = "bad_request"


class TooLong(BadRequest):
    """The request counts more tokens than a minute has: it never gets through."""

    reason = "too_long_for_limit"


class ParameterRefused(BadRequest):
    """400: the teacher knows no such field, or not this value of it. name: the field's."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class FormatRefused(BadRequest):
    """400: the teacher takes no `response_format`, or not this one. response_format: which one,
    where the request had been made with one that it can do without."""

    reason = "format_refused"
    response_format: object = None


class ContentRefused(Final):
    """The provider's filter refused the prompt."""

    reason = "content_refused"
    prompt_may_be_paid = True  # Azure bills what its filter has read


class Forbidden(Final):
    """403: a text that a firewall did not let through, or a key that may not do this. Who has had
    an answer with the key knows that it is the former. names_key: whether it speaks of key, account
    or permission. is_barred: whether of the account, or of where one is, whatever the key."""

    reason = "content_refused"

    def __init__(self, message: str, *, names_key: bool = False, is_barred: bool = False) -> None:
        super().__init__(message)
        self.names_key, self.is_barred = names_key, is_barred


class NotFound(Final):
    """404: this key sees no such batch or file."""


class RunStopped(Final):
    """No other request would fare better: the run ends and can be resumed."""


class NotAuthorised(RunStopped):
    """401, 407, or the same in other words."""


class KeyRefused(NotAuthorised):
    """The teacher does not take the key. Its message says so and no more: which key it is, and what
    to do, who knows the teacher says (`TeacherSpec.with_remedy`)."""


class Unreachable(RunStopped):
    """Nothing has come from that address, and no other try would change it: a certificate that is
    not trusted, a name that is not known, TLS where none is spoken, a proxy that refuses."""


class QuotaSpent(RunStopped):
    """The account's money or quota is used up."""

    exit_code = 3


class CeilingReached(RunStopped):
    """What may be spent is spent, or promised."""

    exit_code = 3


class TeacherDown(RunStopped):
    """Request after request used up its tries."""

    exit_code = 3


class ModelGone(RunStopped):
    """The model does not exist, or no longer."""


class RequestsRefused(RunStopped):
    """Nobody was answered: what is refused is in every request."""


class AgainLater(RunStopped):
    """The teacher names a time to come back at, and it is further away than a run waits."""

    exit_code = 3

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class AnswersUnread(RunStopped):
    """None of the first answers can be read: more of them would be paid for in vain."""


class BatchRefused(RunStopped):
    """The teacher takes no such batch; none of its requests were asked."""


class BatchLost(RunStopped):
    """A batch that this key does not see: its answers may be paid for and out of reach."""


class NoRecords(DistillError):
    """A run has ended, and none of its rows gave a record."""


class RowsUnanswered(DistillError):
    """A run has ended, and some rows have no answer that the same command could still get."""

    exit_code = 3


class BatchesRunning(DistillError):
    """Requests of this run are in batches that still run: they are not asked a second time."""


class BatchesLeft(DistillError):
    """Not to be waited for: what is asked is in batches, and the same command collects them."""

    exit_code = 0


class Interrupted(DistillError):
    """Ctrl-C or SIGTERM; all that was answered is stored."""

    exit_code = 130
