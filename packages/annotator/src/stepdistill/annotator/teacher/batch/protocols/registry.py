"""The protocols of batches by name."""

from collections.abc import Mapping

from stepdistill.annotator.provider.profile import BatchProtocol
from stepdistill.annotator.teacher.batch.protocols.openai import OpenAiBatches
from stepdistill.annotator.teacher.batch.protocols.protocol import BatchApi
from stepdistill.annotator.teacher.spec import TeacherSpec

_APIS: Mapping[BatchProtocol, type[BatchApi]] = {"openai": OpenAiBatches}


def batch_api(teacher: TeacherSpec) -> BatchApi:
    """The batches of a teacher, by the protocol of whoever serves it."""
    # A server that nobody knows is taken to do as most do.
    return _APIS[teacher.provider.batch or "openai"](teacher)
