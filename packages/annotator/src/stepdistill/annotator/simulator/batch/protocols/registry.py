"""The simulated protocols of batches by name."""

from collections.abc import Mapping

from stepdistill.annotator.provider.profile import BatchProtocol
from stepdistill.annotator.simulator.batch.desk import BatchDesk
from stepdistill.annotator.simulator.batch.protocols.anthropic import SimulatedAnthropic
from stepdistill.annotator.simulator.batch.protocols.gemini import SimulatedGemini
from stepdistill.annotator.simulator.batch.protocols.mistral import SimulatedMistral
from stepdistill.annotator.simulator.batch.protocols.openrouter import SimulatedOpenRouter
from stepdistill.annotator.simulator.batch.protocols.together import SimulatedTogether
from stepdistill.annotator.simulator.batch.routes import SimulatedBatchApi

BATCHES: Mapping[BatchProtocol, type[BatchDesk]] = {
    "openai": SimulatedBatchApi,
    "anthropic": SimulatedAnthropic,
    "gemini": SimulatedGemini,
    "openrouter": SimulatedOpenRouter,
    "together": SimulatedTogether,
    "mistral": SimulatedMistral,
}
