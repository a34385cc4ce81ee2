"""The openai SDK's own client takes the simulator for the real thing."""

import openai
import pytest

from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from tests.annotator.simulator.asking import KNOWN, a_teacher


def client_of(simulator: Simulator) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=simulator.base_url, api_key="sk-test", max_retries=0, timeout=5
    )


async def test_an_answer_with_its_usage():
    async with Simulator(a_teacher()) as simulator, client_of(simulator) as client:
        answer = await client.chat.completions.create(
            model="any-model", messages=[{"role": "user", "content": "one"}], max_tokens=100
        )

    assert answer.choices[0].message.content
    assert f"Label: {KNOWN.label}" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert answer.usage.total_tokens == sum(simulator.log.billed_tokens())


async def test_the_models():
    async with Simulator(a_teacher()) as simulator, client_of(simulator) as client:
        assert [model.id async for model in client.models.list()] == ["simulated-teacher"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.RATE_LIMITED, openai.RateLimitError),
        (Fault.QUOTA, openai.RateLimitError),
        (Fault.UNAUTHORIZED, openai.AuthenticationError),
        (Fault.BAD_REQUEST, openai.BadRequestError),
        (Fault.OVERLOADED, openai.InternalServerError),
        (Fault.DROPPED, openai.APIConnectionError),
    ],
)
async def test_faults_become_the_errors_that_the_sdk_knows(
    fault: Fault, error: type[openai.OpenAIError]
):
    settings = SimulatorSettings(faults=FaultPlan(script=(fault,)))
    async with Simulator(a_teacher(), settings) as simulator, client_of(simulator) as client:
        with pytest.raises(error):
            await client.chat.completions.create(
                model="any-model", messages=[{"role": "user", "content": "one"}]
            )
