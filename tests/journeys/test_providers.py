"""Providers as a person meets them: whom `annotate` knows, and whose key goes where."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from stepdistill.annotator.simulator.answers import SimulatedTeacher
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.server import SimulatedModel, Simulator, SimulatorSettings
from tests.journeys.conftest import Annotate
from tests.journeys.test_row_to_shard import simulator

ONE_MODEL = (SimulatedModel(id="small"),)


def test_the_list_names_each_provider_with_its_key(annotate: Annotate, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GROQ_API_KEY=gsk\n")
    done = annotate("providers", "list")
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 80
    found = {
        each["name"]: each for each in annotate("providers", "list", "--json").json["providers"]
    }
    assert found["groq"]["key_found"] and not found["openai"]["key_found"]
    assert found["anthropic"]["dialect"] == "anthropic"
    assert found["anthropic"]["base_url"].startswith("https://api.anthropic.com")
    assert {"azure", "gemini", "mistral", "openrouter", "together", "xai", "vllm"} <= found.keys()


async def test_one_short_request_shows_what_works(annotate: Annotate) -> None:
    settings = SimulatorSettings(models=ONE_MODEL)
    async with Simulator(SimulatedTeacher(), settings) as simulated:
        done = await asyncio.to_thread(
            annotate, "providers", "check", "vllm", "--base-url", simulated.base_url
        )
        assert done.code == 0, done.err
        lines = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
        assert "small at localhost" in lines["vLLM,"]
        assert "works" in lines["logprobs"] and "works" in lines["structured"]
        assert "works" in lines["answer"] and "none" in lines["batches"]
        assert simulated.log.served_count() == 1


async def test_what_is_refused_is_said_in_its_own_words(annotate: Annotate) -> None:
    plan = FaultPlan(script=(Fault.UNAUTHORIZED,))
    async with Simulator(SimulatedTeacher(), SimulatorSettings(faults=plan)) as simulated:
        done = await asyncio.to_thread(
            annotate, "providers", "check", "vllm:small", "--base-url", simulated.base_url
        )
    assert done.code == 2
    assert "Incorrect API key provided" in done.err and "VLLM_API_KEY" in done.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nobody",), "nobody that is known: it is one of openai"),
        (("groq:any",), "set GROQ_API_KEY"),
        (("azure:mine",), "name yours with --base-url"),
        (("vllm", "--base-url", "http://127.0.0.1:9/v1"), "nobody listens at 127.0.0.1:9"),
    ],
)
def test_what_cannot_be_checked_is_one_line(
    annotate: Annotate, words: tuple[str, ...], says: str
) -> None:
    done = annotate("providers", "check", *words)
    assert done.code in (2, 3) and says in done.err
    assert done.err.count("\n") == 1


async def test_batches_are_looked_after_with_the_token_that_they_were_sent_with(
    annotate: Annotate, tmp_path: Path
) -> None:
    printed = f"{sys.executable} -c \"print('token-1')\""
    settings = SimulatorSettings(allow_anonymous=False)
    async with simulator(tmp_path, settings) as teacher:
        provider = {"base_url": teacher.base_url, "hosts": ["127.0.0.1"], "key_env": ["MINE_KEY"]}
        mine = {**provider, "key_command": printed, "batch": "openai"}
        (tmp_path / "providers.yaml").write_text(json.dumps({"providers": {"mine": mine}}))
        run = ("run", "demo", "--teacher", "mine:any", "--samples", "5", "--batch-api", "--no-wait")
        sent = await asyncio.to_thread(annotate, *run)
        assert sent.code == 0, sent.err
        for command in ("status", "collect"):
            done = await asyncio.to_thread(annotate, "batch", command)
            assert done.code == 0, done.err
