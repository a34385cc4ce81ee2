"""The teacher's door: where it is, what is handed in, and what a reply means, however it came."""

import resource
from collections.abc import Mapping
from dataclasses import dataclass, field

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.online.rate_limiter import RateLimits
from stepdistill.annotator.teacher.reply import error_of, read_answer, sent_body

LARGEST_REPLY = 8 << 20
CONNECT_S = 10.0
_CHARACTERS_PER_TOKEN = 4
_OTHER_FILES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherSpec:
    """How the teacher is reached, and how much it is asked at once.

    key: the API key, None where none is needed. concurrency: requests in flight at most.
    first: how many to begin with; None: one, which hears the teacher's limits, then 64.
    timeout_s: for one answer. max_tokens: the longest answer asked for, sent as limit_name.
    """

    base_url: str
    key: str | None
    concurrency: int
    timeout_s: float
    max_tokens: int
    limit_name: str
    first: int | None = None
    limits: RateLimits = field(default_factory=RateLimits)

    @property
    def url(self) -> str:
        """Where questions go."""
        return f"{self.base_url}/chat/completions"

    @property
    def headers(self) -> dict[str, str]:
        """What goes with each of them."""
        headers = {"Content-Type": "application/json"}
        return {**headers, "Authorization": f"Bearer {self.key}"} if self.key else headers

    def body(self, request: Request) -> bytes:
        """What is sent."""
        return sent_body(request, self.limit_name, self.max_tokens)

    def weigh(self, request: Request) -> int:
        """Tokens as the teacher counts them toward its limit: the larger of answer and estimate."""
        characters = len(request.system) + len(request.user)
        return max(self.max_tokens, -(-characters // _CHARACTERS_PER_TOKEN))

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer in a reply. Raises TeacherError."""
        if status != 200:
            raise error_of(status, body, headers)
        return read_answer(body, limit=self.max_tokens, request_id=headers.get("x-request-id"))


def connections_allowed(wanted: int) -> int:
    """How many connections this process may hold; its limit of open files is raised as needed.

    A limit of 1,024 is usual, and as many requests in flight would break it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    allowed = wanted if soft == resource.RLIM_INFINITY else soft - _OTHER_FILES
    return max(1, min(wanted, allowed))
