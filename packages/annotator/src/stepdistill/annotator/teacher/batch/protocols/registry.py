"""The protocols of batches by name."""

from collections.abc import Mapping

from stepdistill.annotator.provider.profile import BatchProtocol
from stepdistill.annotator.teacher.batch.protocols.anthropic import AnthropicBatches
from stepdistill.annotator.teacher.batch.protocols.gemini import GeminiBatches
from stepdistill.annotator.teacher.batch.protocols.mistral import MistralBatches
from stepdistill.annotator.teacher.batch.protocols.openai import OpenAiBatches
from stepdistill.annotator.teacher.batch.protocols.openrouter import OpenRouterBatches
from stepdistill.annotator.teacher.batch.protocols.protocol import BatchApi
from stepdistill.annotator.teacher.batch.protocols.together import TogetherBatches
from stepdistill.annotator.teacher.spec import TeacherSpec

_APIS: Mapping[BatchProtocol, type[BatchApi]] = {
    "openai": OpenAiBatches,
    "anthropic": AnthropicBatches,
    "gemini": GeminiBatches,
    "openrouter": OpenRouterBatches,
    "together": TogetherBatches,
    "mistral": MistralBatches,
}


def batch_api(teacher: TeacherSpec) -> BatchApi:
    """The batches of a teacher, by the protocol of whoever serves it."""
    # A server that nobody knows is taken to do as most do.
    return _APIS[teacher.provider.batch or "openai"](teacher)
