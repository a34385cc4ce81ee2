"""A dialect: where a question goes, what its bytes say, and what those that come back mean.

Everywhere else a request is as OpenAI's chat has it (model, options by its names, messages), and
its key is made of that. A dialect turns it into what a server wants when it is sent, and what the
server says into an Answer. Errors with a bad status are read by one reader for all dialects,
`error_reply.py`, as gateways mix them anyhow.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, cast

from stepdistill.annotator.plan.key import Request, RequestForm
from stepdistill.annotator.settings.teacher import LimitName
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.billing import thought_tokens
from stepdistill.annotator.teacher.body import object_in
from stepdistill.annotator.teacher.reply import ReplyContext, read_answer


class Limit(NamedTuple):
    """How long an answer may be."""

    tokens: int
    name: LimitName  # as the dialect chat has it; the others have names of their own


class Dialect(ABC):
    """A way to speak to a server. It has no state: one object serves all."""

    name: ClassVar[str]

    def root(self, base: str) -> str:
        """The path that all calls stand behind. base: the path of a base URL, without a slash at
        its end."""
        return base

    @abstractmethod
    def path(self, root: str, model: str) -> str:
        """The path that questions go to. It is part of a request's key."""

    @abstractmethod
    def wire(self, request: Request, limit: Limit) -> Mapping[str, object]:
        """The body of a request."""

    def read(self, body: bytes, context: ReplyContext) -> Answer:
        """The answer in a reply with a good status. Raises TeacherError."""
        return read_answer(body, context, lambda reply: self.as_chat(reply, context.headers))

    def as_chat(self, reply: Mapping[str, Any], headers: Mapping[str, str]) -> Mapping[str, Any]:
        """What chat would have said in place of a reply of this dialect; the reply itself where it
        is none. Raises TeacherError."""
        return reply

    def tier(self, name: str) -> Mapping[str, object]:
        """How a tier of the service is asked for: `flex`, `priority`, or `default`."""
        return {"service_tier": name}

    def unsaid(self, fields: Mapping[str, object]) -> list[str]:
        """Which of a request's fields, by their names in chat, this dialect has no words for: they
        are left out."""
        return []


@lru_cache(256)
def room_to_think(form: RequestForm) -> int:
    """Tokens that a budget of the user's own lets it think for. Anthropic and Gemini count them
    within the limit of an answer, which has to be so much longer."""
    return thought_tokens(form.fields)


def merged(one: Mapping[str, object], other: Mapping[str, object]) -> dict[str, object]:
    """Both, objects within them too; where they differ, the other."""
    found = dict(one)
    for name, value in other.items():
        before = found.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            value = merged(cast("dict[str, object]", before), cast("dict[str, object]", value))
        found[name] = value
    return found


def schema_of(response_format: object) -> Mapping[str, object] | None:
    """The `json_schema` of a response_format of chat: name, strict and schema; None for another."""
    if not isinstance(response_format, dict):
        return None
    found = cast("dict[str, object]", response_format).get("json_schema")
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def objects(value: object) -> list[Mapping[str, Any]]:
    """The items of a list of objects, as a reply has them; none where it is no list."""
    if not isinstance(value, list):
        return []
    return [object_in(each) or {} for each in cast("list[object]", value)]


def texts(stop: object) -> list[str]:
    """The texts of `stop`, which is one or several."""
    return [stop] if isinstance(stop, str) else list(cast("list[str]", stop))
