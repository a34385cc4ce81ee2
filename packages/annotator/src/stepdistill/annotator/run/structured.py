"""Structured answers from teachers that do not give them.

A structured template asks with a `response_format`. A teacher that refuses it says so on the first
request: that is remembered in the store, by teacher and format, and its requests are planned anew
without the format, under the keys of what is then sent. A teacher that takes the format and answers
in plain text is read as all others are; it is said once. So it is of one that tells no
log-probabilities: a gateway may hand a request on to a server that leaves them out.

    format-DIGEST   a format that a teacher refused, among the `accounts` of the store
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import orjson

from stepdistill.annotator.errors import FormatRefused
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.plan.model_options import LOGPROBS
from stepdistill.annotator.plan.plan import Plan, key_of
from stepdistill.annotator.prompt.render import response_format
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore

_ENTRY = "format-"
_FIRST = 10  # answers that are looked at: as many in plain text are no accident
_SHOWN = 200  # characters of a refusal


def recall_formats(store: ResponseStore, plans: Iterable[Plan]) -> None:
    """Plan without the formats that the store remembers as refused. Raises StoreError."""
    entries = SealedEntries(store, "accounts")
    for plan in plans:
        if any(template.structured for template in plan.templates.values()):
            wanted = key_of(response_format(plan.task.label))
            if entries.get(_entry(plan, wanted)) is not None:
                plan.refused_formats.add(wanted)


def remember_refusal(store: ResponseStore, plans: Iterable[Plan], error: FormatRefused) -> str:
    """Note a refusal in the store and in the plans; the line that says so. Raises StoreError."""
    refused, (first, *others) = key_of(error.response_format), list(plans)
    body = {"model": first.model, "endpoint": first.endpoint.name, "message": str(error)}
    SealedEntries(store, "accounts").write(_entry(first, refused), orjson.dumps(body))
    for plan in (first, *others):
        plan.refused_formats.add(refused)
    return (
        f"{first.model} at {first.endpoint.name} refuses response_format ({str(error)[:_SHOWN]}): "
        "it is asked without, and its answers are read as text; the store remembers it"
    )


def refused_in_batch(store: ResponseStore, plans: Iterable[Plan]) -> FormatRefused | None:
    """The refusal that a batch brought for the first row of a plan, and so for all. Raises
    StoreError."""
    for plan in plans:
        requests = next((row.requests for row in plan.rows()), ())
        with store.reading() as stored:
            failures = [stored.failure(request.key) for request in requests]
        for request, failure in zip(requests, failures, strict=True):
            if failure and failure.reason == FormatRefused.reason and request.form.is_structured:
                error = FormatRefused(failure.detail)
                error.response_format = request.form.fields["response_format"]
                return error
    return None


def _entry(plan: Plan, wanted: str) -> bytes:
    who = orjson.dumps([plan.endpoint.name, plan.endpoint.path, plan.model, wanted])
    return f"{_ENTRY}{hashlib.sha256(who).hexdigest()}".encode()


@dataclass(slots=True, kw_only=True)
class FormatWatch:
    """Looks at the first answers of a run that were to be more than text; says once where none of
    them is JSON, or none tells how probable its words are."""

    say: Callable[[str], None]
    _seen: int = field(default=0, init=False)
    _as_json: int = field(default=0, init=False)
    _to_tell: int = field(default=0, init=False)  # asked for log-probabilities
    _told: int = field(default=0, init=False)

    def heard(self, request: Request, answer: Answer) -> None:
        """Look at an answer as it comes."""
        if self._to_tell < _FIRST and LOGPROBS[0] in request.form.fields:
            self._hear_logprobs(answer)
        if self._seen >= _FIRST or not request.form.is_structured:
            return
        self._seen += 1
        # Fences and thoughts may stand around the object: it is enough that there is one.
        self._as_json += "{" in answer.text and '"label"' in answer.text
        if self._seen == _FIRST and not self._as_json:
            self.say(
                f"the first {_FIRST} answers of {answer.model} are no JSON, which response_format "
                "asks for: they are read as text"
            )

    def _hear_logprobs(self, answer: Answer) -> None:
        self._to_tell += 1
        self._told += answer.logprobs is not None
        if self._to_tell == _FIRST and not self._told:
            self.say(
                f"the first {_FIRST} answers of {answer.model} tell no log-probabilities, which "
                "--logprobs asks for: their records have no label_probs; --votes 5 needs none"
            )
