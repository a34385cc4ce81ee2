"""The name of the limit on an answer's length: `max_tokens`, or `max_completion_tokens`.

Newer models refuse the former, older servers the latter. Who says so is asked with the other one,
from then on: the store remembers it by teacher. The limit is no part of a request's key.

    limit-DIGEST   the name that a teacher takes, among the `accounts` of the store
"""

import hashlib
from dataclasses import replace

import orjson

from stepdistill.annotator.errors import ParameterRefused, RequestsRefused
from stepdistill.annotator.reading.rejection import shortened
from stepdistill.annotator.settings.teacher import LIMIT_NAMES
from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.spec import TeacherSpec

_SHOWN = 200  # characters of a refusal


def recall_limit_name(store: ResponseStore, teacher: TeacherSpec) -> TeacherSpec:
    """The teacher with the name that the store remembers it to take; what `models.yaml` says goes
    before that. Raises StoreError."""
    if teacher.options.limit_name is not None:
        return teacher
    kept = SealedEntries(store, "accounts").get(_entry(teacher))
    name = orjson.loads(kept)["takes"] if kept else teacher.limit_name
    return replace(teacher, limit_name=name)


def with_other_limit_name(
    store: ResponseStore, asked: TeacherSpec, before: TeacherSpec, error: ParameterRefused
) -> tuple[TeacherSpec, str]:
    """The teacher as it may take the limit, remembered in the store, and the line that says so.

    before: as it was when the run began. Raises RequestsRefused: it takes neither name; StoreError.
    """
    if asked.limit_name != before.limit_name:
        raise RequestsRefused(
            f"the teacher takes neither {before.limit_name} nor {asked.limit_name} ({error}): see "
            f"limit_name of {asked.model} in models.yaml (--models)"
        )
    other = next(name for name in LIMIT_NAMES if name != asked.limit_name)
    words = shortened(str(error), _SHOWN)
    body = {"model": asked.model, "endpoint": asked.endpoint_name, "takes": other, "message": words}
    SealedEntries(store, "accounts").write(_entry(asked), orjson.dumps(body))
    return replace(asked, limit_name=other), (
        f"{asked.model} at {asked.endpoint.name} refuses {asked.limit_name} ({words}): it is asked "
        f"with {other} instead; the store remembers it"
    )


def _entry(teacher: TeacherSpec) -> bytes:
    who = orjson.dumps([teacher.endpoint.name, teacher.endpoint.path, teacher.model])
    return f"limit-{hashlib.sha256(who).hexdigest()}".encode()
