"""The vendors' own clients ask the simulator online, each in its dialect, and are given what they
expect: the same answer to the same question, typed usage, and the errors that they know."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import openai
import pytest

from stepdistill.annotator.simulator.answers import SimulatedTeacher
from stepdistill.annotator.simulator.dialects.registry import SpokenName
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.limits import SimulatedLimits
from stepdistill.annotator.simulator.log import fingerprint
from stepdistill.annotator.simulator.server import SimulatedModel, Simulator, SimulatorSettings
from tests.annotator.simulator.asking import KNOWN, a_teacher, messages

MODEL, SYSTEM, KEY = "any-model", "Answer in a word.", "sk-secret"
# What google-genai does as it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")


class Said(NamedTuple):
    """What a client made of a reply."""

    text: str
    ended: object
    prompt_tokens: int
    completion_tokens: int


def root(simulator: Simulator) -> str:
    return simulator.base_url.rpartition("/")[0]


async def responses(simulator: Simulator, prompt: str, limit: int) -> Said:
    client = openai.AsyncOpenAI(base_url=simulator.base_url, api_key=KEY, max_retries=0)
    async with client:
        reply = await client.responses.create(
            model=MODEL, instructions=SYSTEM, input=prompt, max_output_tokens=limit
        )
    assert reply.usage
    used = reply.usage
    assert used.total_tokens == used.input_tokens + used.output_tokens
    return Said(reply.output_text, reply.status, used.input_tokens, used.output_tokens)


async def anthropic_messages(simulator: Simulator, prompt: str, limit: int) -> Said:
    sdk: Any = pytest.importorskip("anthropic")
    async with sdk.AsyncAnthropic(api_key=KEY, base_url=root(simulator), max_retries=0) as client:
        reply = await client.messages.create(
            model=MODEL,
            system=SYSTEM,
            max_tokens=limit,
            messages=[{"role": "user", "content": prompt}],
        )
    assert reply.type == "message" and reply._request_id
    used = reply.usage
    return Said(reply.content[0].text, reply.stop_reason, used.input_tokens, used.output_tokens)


async def gemini(simulator: Simulator, prompt: str, limit: int) -> Said:
    sdk: Any = pytest.importorskip("google.genai")
    options = {"base_url": root(simulator), "api_version": "v1beta"}
    client = sdk.Client(api_key=KEY, http_options=options).aio
    try:
        reply = await client.models.generate_content(
            model=MODEL,
            contents=prompt,
            config={"system_instruction": SYSTEM, "max_output_tokens": limit},
        )
    finally:
        await client.aclose()
    used = reply.usage_metadata
    ended = reply.candidates[0].finish_reason.name
    return Said(reply.text, ended, used.prompt_token_count, used.candidates_token_count)


async def mistral(simulator: Simulator, prompt: str, limit: int) -> Said:
    sdk: Any = pytest.importorskip("mistralai.client")
    async with sdk.Mistral(api_key=KEY, server_url=root(simulator)) as client:
        reply = await client.chat.complete_async(
            model=MODEL, messages=messages(prompt, SYSTEM), max_tokens=limit
        )
    choice, used = reply.choices[0], reply.usage
    text, ended = choice.message.content, choice.finish_reason
    return Said(text, ended, used.prompt_tokens, used.completion_tokens)


async def openrouter(simulator: Simulator, prompt: str, limit: int) -> Said:
    client = openai.AsyncOpenAI(base_url=simulator.base_url, api_key=KEY, max_retries=0)
    async with client:
        reply: Any = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}],
            max_tokens=limit,
        )
    assert reply.provider and reply.usage.cost > 0
    choice, used = reply.choices[0], reply.usage
    text, ended = choice.message.content, choice.finish_reason
    return Said(text, ended, used.prompt_tokens, used.completion_tokens)


class Client(NamedTuple):
    """A vendor's client: how it asks, and its words for an answer that is whole, and cut."""

    dialect: SpokenName
    ask: Callable[[Simulator, str, int], Awaitable[Said]]
    whole: str
    cut: str


CLIENTS = {
    "responses": Client("responses", responses, "completed", "incomplete"),
    "anthropic": Client("anthropic", anthropic_messages, "end_turn", "max_tokens"),
    "gemini": Client("gemini", gemini, "STOP", "MAX_TOKENS"),
    "mistral": Client("openai", mistral, "stop", "length"),
    "openrouter": Client("openrouter", openrouter, "stop", "length"),
}
ALL = pytest.mark.parametrize("name", CLIENTS)


def known_teacher() -> SimulatedTeacher:
    teacher = a_teacher()
    teacher.book.add(messages("one", SYSTEM), KNOWN)
    return teacher


def simulator(name: str, **settings: Any) -> Simulator:
    return Simulator(known_teacher(), SimulatorSettings(dialect=CLIENTS[name].dialect, **settings))


@ALL
async def test_the_same_question_has_the_same_answer_whoever_asks(name: str):
    client = CLIENTS[name]
    async with simulator(name, allow_anonymous=False) as teacher:
        said = await client.ask(teacher, "one", 64)
    (entry,) = teacher.log.entries
    assert said.text == known_teacher().answer({"messages": messages("one", SYSTEM)})
    assert said.ended == client.whole
    assert said[2:] == (entry.outcome.prompt_tokens, entry.outcome.completion_tokens)
    assert entry.outcome.billed
    assert entry.key == fingerprint(f"Bearer {KEY}"), "known, in whichever header it comes"


@ALL
async def test_an_answer_that_is_cut_says_so_in_its_words(name: str):
    client = CLIENTS[name]
    async with simulator(name) as teacher:
        said = await client.ask(teacher, "one", 3)
    assert (said.ended, said.completion_tokens) == (client.cut, 3)


# Of a client's module -> fault -> its exception and what that must say.
ERRORS: dict[str, dict[Fault, tuple[str, str]]] = {
    "responses": {
        Fault.RATE_LIMITED: ("openai.RateLimitError", "Rate limit"),
        Fault.QUOTA: ("openai.RateLimitError", "quota"),
        Fault.UNAUTHORIZED: ("openai.AuthenticationError", "API key"),
        Fault.BAD_REQUEST: ("openai.BadRequestError", "not acceptable"),
        Fault.OVERLOADED: ("openai.InternalServerError", "overloaded"),
        Fault.TORN: ("openai.APIConnectionError", "Connection"),
    },
    "anthropic": {
        Fault.RATE_LIMITED: ("anthropic.RateLimitError", "rate_limit_error"),
        Fault.QUOTA: ("anthropic.BadRequestError", "credit balance is too low"),
        Fault.UNAUTHORIZED: ("anthropic.AuthenticationError", "invalid x-api-key"),
        Fault.BAD_REQUEST: ("anthropic.BadRequestError", "invalid_request_error"),
        Fault.OVERLOADED: ("anthropic._exceptions.OverloadedError", "529.*overloaded_error"),
        Fault.DROPPED: ("anthropic.APIConnectionError", "Connection"),
    },
    "gemini": {
        Fault.RATE_LIMITED: ("google.genai.errors.ClientError", "429 RESOURCE_EXHAUSTED"),
        Fault.QUOTA: ("google.genai.errors.ClientError", "PerDay"),
        Fault.UNAUTHORIZED: ("google.genai.errors.ClientError", "API_KEY_INVALID"),
        Fault.BAD_REQUEST: ("google.genai.errors.ClientError", "400 INVALID_ARGUMENT"),
        Fault.OVERLOADED: ("google.genai.errors.ServerError", "503 UNAVAILABLE"),
    },
    "mistral": {
        Fault.RATE_LIMITED: ("mistralai.client.errors.SDKError", "429"),
        Fault.UNAUTHORIZED: ("mistralai.client.errors.SDKError", "401"),
    },
    "openrouter": {
        Fault.QUOTA: ("openai.APIStatusError", "402.*Insufficient credits"),
        Fault.CONTENT_POLICY: ("openai.PermissionDeniedError", "flagged"),
    },
}


def exception(path: str) -> type[Exception]:
    module, _, name = path.rpartition(".")
    return getattr(pytest.importorskip(module), name)


@pytest.mark.parametrize(
    ("name", "fault"), [(name, fault) for name, faults in ERRORS.items() for fault in faults]
)
async def test_a_fault_is_the_exception_that_its_client_has_for_it(name: str, fault: Fault):
    path, says = ERRORS[name][fault]
    faults = FaultPlan(script=(fault,) * 9)  # some clients ask again by themselves
    async with simulator(name, faults=faults) as teacher:
        with pytest.raises(exception(path), match=says):
            await CLIENTS[name].ask(teacher, "one", 64)


@ALL
async def test_a_limit_is_told_in_its_words(name: str):
    async with simulator(name, limits=SimulatedLimits(requests_per_minute=1)) as teacher:
        await CLIENTS[name].ask(teacher, "one", 64)
        with pytest.raises(Exception, match="429"):
            await CLIENTS[name].ask(teacher, "one", 64)


@ALL
async def test_a_model_that_is_not_served_is_not_found(name: str):
    async with simulator(name, models=(SimulatedModel(id="another"),)) as teacher:
        with pytest.raises(Exception, match="404"):
            await CLIENTS[name].ask(teacher, "one", 64)


async def test_gemini_blocks_a_prompt_without_an_error():
    sdk: Any = pytest.importorskip("google.genai")
    faults = FaultPlan(script=(Fault.CONTENT_POLICY, Fault.CONTENT_FILTER))
    async with simulator("gemini", faults=faults) as teacher:
        options = {"base_url": root(teacher), "api_version": "v1beta"}
        client = sdk.Client(api_key="k", http_options=options).aio
        blocked = await client.models.generate_content(model=MODEL, contents="one")
        filtered = await client.models.generate_content(model=MODEL, contents="one")
        await client.aclose()
    assert blocked.prompt_feedback.block_reason.name == "PROHIBITED_CONTENT"
    assert not blocked.candidates
    assert filtered.candidates[0].finish_reason.name == "SAFETY" and not filtered.text


async def test_gemini_lists_its_models():
    sdk: Any = pytest.importorskip("google.genai")
    async with simulator("gemini", models=(SimulatedModel(id="one"),)) as teacher:
        options = {"base_url": root(teacher), "api_version": "v1beta"}
        client = sdk.Client(api_key=KEY, http_options=options).aio
        listed = [model async for model in await client.models.list()]
        await client.aclose()
    assert [model.name for model in listed] == ["models/one"]
    assert listed[0].supported_actions == ["generateContent"]


async def test_thoughts_come_apart_from_the_answer_and_are_counted():
    sdk: Any = pytest.importorskip("anthropic")
    google: Any = pytest.importorskip("google.genai")
    async with simulator("gemini") as teacher:
        async with sdk.AsyncAnthropic(api_key="k", base_url=root(teacher)) as client:
            message = await client.messages.create(
                model=MODEL,
                max_tokens=4096,
                thinking={"type": "enabled", "budget_tokens": 1024},
                messages=[{"role": "user", "content": "one"}],
            )
        options = {"base_url": root(teacher), "api_version": "v1beta"}
        gemini_client = google.Client(api_key="k", http_options=options).aio
        content = await gemini_client.models.generate_content(
            model=MODEL,
            contents="one",
            config={"thinking_config": {"thinking_budget": 1024, "include_thoughts": True}},
        )
        await gemini_client.aclose()
        async with openai.AsyncOpenAI(base_url=f"{root(teacher)}/v1", api_key="k") as chat:
            response = await chat.responses.create(
                model=MODEL, input="one", reasoning={"effort": "low"}
            )
        billed = [entry.outcome.completion_tokens for entry in teacher.log.entries]
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[1].text == content.text == response.output_text
    assert [part.thought for part in content.candidates[0].content.parts] == [True, None]
    assert [item.type for item in response.output] == ["reasoning", "message"]
    used = content.usage_metadata
    assert response.usage
    assert billed == [
        message.usage.output_tokens,
        used.candidates_token_count + used.thoughts_token_count,
        response.usage.output_tokens,
    ]
    assert response.usage.output_tokens_details.reasoning_tokens == used.thoughts_token_count > 0


async def test_anthropic_names_the_request_the_stop_and_when_a_limit_is_over():
    sdk: Any = pytest.importorskip("anthropic")
    asked: dict[str, Any] = {
        "model": MODEL,
        "max_tokens": 2000,
        "messages": [{"role": "user", "content": "one"}],
    }
    limits = SimulatedLimits(requests_per_minute=3, refused_count=False)
    async with (
        simulator("anthropic", limits=limits) as teacher,
        sdk.AsyncAnthropic(api_key=KEY, base_url=root(teacher), max_retries=0) as client,
    ):
        raw = await client.messages.with_raw_response.create(**asked)
        stopped = await client.messages.create(**asked, stop_sequences=["Label:"])
        for wrong, says in (
            ({"budget_tokens": 2000}, "max_tokens"),
            ({"budget_tokens": 10}, "at least 1024"),
        ):
            thinking = {"type": "enabled", **wrong}
            with pytest.raises(sdk.BadRequestError, match=says):
                await client.messages.create(**asked, thinking=thinking)
        await client.messages.create(**asked)
        with pytest.raises(sdk.RateLimitError) as limited:
            await client.messages.create(**asked)
    headers = raw.headers
    reset = datetime.fromisoformat(headers["anthropic-ratelimit-requests-reset"])
    assert timedelta(0) < reset - datetime.now(UTC) < timedelta(seconds=61)
    assert headers["anthropic-ratelimit-requests-limit"] == "3"
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "Label:")
    assert "Label:" not in stopped.content[0].text
    assert limited.value.body["request_id"] == limited.value.response.headers["request-id"]
    assert float(limited.value.response.headers["retry-after"]) > 0


async def test_openrouter_tells_thoughts_and_says_in_a_reply_that_began_well_what_failed():
    faults = FaultPlan(script=(None, None, Fault.SERVER_ERROR))
    async with (
        simulator("openrouter", faults=faults) as teacher,
        openai.AsyncOpenAI(base_url=teacher.base_url, api_key=KEY, max_retries=0) as client,
    ):
        replies: list[Any] = [
            await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "one"}], extra_body=extra
            )
            for extra in ({"reasoning": {"effort": "low"}}, {}, {})
        ]
        billed = [entry.outcome.completion_tokens for entry in teacher.log.entries]
    thinking, plain, failed = replies
    assert thinking.choices[0].message.reasoning and not plain.choices[0].message.reasoning
    assert thinking.choices[0].message.content == plain.choices[0].message.content
    assert [thinking.usage.completion_tokens, plain.usage.completion_tokens, 0] == billed
    assert thinking.usage.cost > plain.usage.cost
    assert failed.error["code"] == 502 and not failed.choices


async def test_who_asks_for_a_stream_is_told_that_there_is_none():
    sdk: Any = pytest.importorskip("anthropic")
    async with simulator("anthropic") as teacher:
        async with sdk.AsyncAnthropic(api_key=KEY, base_url=root(teacher)) as client:
            said = [{"role": "user", "content": "one"}]
            with pytest.raises(sdk.BadRequestError, match="does not stream"):
                await client.messages.create(model=MODEL, max_tokens=9, messages=said, stream=True)
        async with openai.AsyncOpenAI(base_url=teacher.base_url, api_key=KEY) as client:
            with pytest.raises(openai.BadRequestError, match="does not stream"):
                await client.responses.create(model=MODEL, input="one", stream=True)
    assert not teacher.log.billed_count()
