"""A dialect: where a question goes, what its bytes say, and what those that come back mean.

Everywhere else a request is as OpenAI's chat has it (model, options by its names, messages), and
its key is made of that. A dialect turns it into what a server wants when it is sent, and what the
server says into an Answer. Errors with a bad status are read by one reader for all dialects,
`error_reply.py`, as gateways mix them anyhow.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.settings.teacher import LimitName
from stepdistill.annotator.store.answer import Answer, Mode


class Limit(NamedTuple):
    """How long an answer may be."""

    tokens: int
    name: LimitName  # as the dialect chat has it; the others have names of their own


class ReplyContext(NamedTuple):
    """What is known of a reply beside its body."""

    limit: int  # the longest answer asked for, in tokens
    model: str
    mode: Mode = "online"
    request_id: object = None  # the provider's own, where its headers or its line have one
    headers: Mapping[str, str] = {}  # by their names in lower case


class Dialect(ABC):
    """A way to speak to a server. It has no state: one object serves all."""

    name: ClassVar[str]

    @abstractmethod
    def path(self, base: str, model: str) -> str:
        """The path that questions go to, behind the path of a base URL (which ends without a
        slash). It is part of a request's key."""

    @abstractmethod
    def wire(self, request: Request, limit: Limit) -> Mapping[str, object]:
        """The body of a request."""

    @abstractmethod
    def read(self, body: bytes, asked: ReplyContext) -> Answer:
        """The answer in a reply with a good status. Raises TeacherError."""

    def tier(self, name: str) -> Mapping[str, object]:
        """How a tier of the service is asked for: `flex`, `priority`, or `default`."""
        return {"service_tier": name}

    def unsaid(self, fields: Mapping[str, object]) -> list[str]:
        """Which of a request's fields, by their names in chat, this dialect has no words for: they
        are left out."""
        return []
