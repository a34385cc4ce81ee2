"""The table of the guide: what each provider is asked, by `annotate`, against a live server of its
dialect. A cell is what came of it, not what a profile says."""

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest

from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.provider.profile import Provider
from stepdistill.annotator.provider.profiles import load_providers
from stepdistill.annotator.run.planning import make_template_plan
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.simulator.answers import SimulatedTeacher
from stepdistill.annotator.simulator.batch.settings import SimulatedBatchSettings
from stepdistill.annotator.simulator.dialects.registry import SpokenName
from stepdistill.annotator.simulator.log import fingerprint
from stepdistill.annotator.simulator.rehearsal import rehearse_templates
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.response_store import ResponseStore
from tests.journeys.conftest import ROOT, Done
from tests.warm import WarmProcess, plain_environment

GUIDE = ROOT / "docs" / "guide" / "providers.md"
PROMPTS = ROOT / "prompts"
KEY = "sk-of-this-provider"
COLUMNS = ("key", "online", "batches", "JSON", "logprobs", "effort", "tiers")
WORKS, NONE = "works", "-"
STRUCTURED = """
  - id: as-json
    structured: true
    user: |
      Which operation solves this problem, and why? {problem}
"""
QUICK = ("openai", "anthropic", "gemini", "openrouter", "deepseek")
ALL = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in load_providers()
]


def spoken(provider: Provider) -> SpokenName:
    if provider.name == "openrouter":
        return "openrouter"
    return "openai" if provider.dialect == "chat" else provider.dialect


class Table:
    """One provider's row: each cell is made by a run."""

    def __init__(self, provider: Provider, folder: Path, warm: WarmProcess) -> None:
        self.provider, self._folder, self._warm = provider, folder, warm
        self._runs = 0
        prompts = folder / "prompts" / "demo"
        shutil.copytree(PROMPTS / "demo", prompts)
        path = prompts / "templates.yaml"
        path.write_text(path.read_text() + STRUCTURED)
        assert load_task(prompts.parent, "demo")

    def simulator(self) -> Simulator:
        config = RunSettings(
            task="demo",
            splits=("train",),
            teacher="t",
            prompts=self._folder / "prompts",
            store=self._folder,
            out=self._folder,
        )
        teacher = SimulatedTeacher()
        rehearsed = rehearse_templates([make_template_plan(config, ())], teacher, {})
        settings = SimulatorSettings(
            dialect=spoken(self.provider),
            allow_anonymous=False,
            batch=SimulatedBatchSettings(protocol=self.provider.batch or "openai"),
        )
        return Simulator(rehearsed, settings)

    async def run(self, url: str, *words: str) -> tuple[Done, list[Answer]]:
        """A run of a few rows, and the answers that it left."""
        self._runs += 1
        name, provider = f"run-{self._runs}", self.provider
        command = [
            *("run", "demo", "--prompts", "prompts", "--teacher", f"{provider.name}:any"),
            *("--base-url", url, "--samples", "4", "--store", f"{name}-store", "--out", name),
        ]
        environment = plain_environment(**{provider.key_env[0]: KEY})
        started = self._warm.start(*command, *words, cwd=self._folder, env=environment)
        ended = await asyncio.to_thread(started.wait)
        done = Done(code=ended.returncode, out=ended.stdout, err=ended.stderr)
        path = self._folder / f"{name}-store"
        if not (path / "data.mdb").exists():
            return done, []
        with ResponseStore.open(path, write=False) as store, store.reading() as stored:
            return done, [answer for _, answer in stored.answers()]

    def records(self) -> list[dict[str, object]]:
        """Of the last run."""
        files = sorted((self._folder / f"run-{self._runs}").rglob("shard-*"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    async def row(self) -> dict[str, str]:
        async with self.simulator() as simulator:
            url = simulator.base_url
            cells = {"online": await self._online(url)}
            keys = {entry.key for entry in simulator.log.entries}
            assert keys == {fingerprint(f"Bearer {KEY}")}
            cells["key"] = f"`{self.provider.key_header or 'Authorization'}`"
            cells["batches"] = await self._batches(url)
            cells["JSON"] = await self._json(url)
            cells["logprobs"] = await self._logprobs(url)
            cells["effort"] = await self._effort(url)
            cells["tiers"] = await self._tiers(url)
        return cells

    async def _online(self, url: str) -> str:
        done, answers = await self.run(url)
        assert (done.code, len(answers)) == (0, 4), done.err
        return WORKS

    async def _batches(self, url: str) -> str:
        done, answers = await self.run(url, "--batch-api")
        return self._cell(done, "batch", works=[a.mode for a in answers] == ["batch"] * 4)

    async def _json(self, url: str) -> str:
        done, answers = await self.run(url, "--template", "as-json")
        texts = [answer.text for answer in answers]
        is_json = all(isinstance(json.loads(text), dict) for text in texts) if texts else False
        return self._cell(done, "", works=is_json and len(self.records()) == 4)

    async def _logprobs(self, url: str) -> str:
        done, _ = await self.run(url, "--logprobs", "1")
        told = all(record.get("label_probs") for record in self.records())
        return self._cell(done, "log-?prob", works=told and done.code == 0)

    async def _effort(self, url: str) -> str:
        done, answers = await self.run(url, "--effort", "low")
        return self._cell(done, "--effort low", works=len(answers) == 4)

    async def _tiers(self, url: str) -> str:
        found: list[str] = []
        for tier in ("flex", "priority"):
            done, answers = await self.run(url, "--tier", tier)
            served = {answer.tier for answer in answers} == {tier}
            if self._cell(done, f"--tier {tier}", works=served) == WORKS:
                found.append(tier)
        return ", ".join(found) or NONE

    def _cell(self, done: Done, says: str, *, works: bool) -> str:
        """Works, or is refused in one line before anything is asked."""
        if done.code == 0:
            assert works, (done.out, done.err)
            return WORKS
        assert done.code == 2 and re.search(says, done.err), done.err
        assert done.err.count("\n") == 1
        return NONE


def table_of_guide() -> dict[str, dict[str, str]]:
    """provider -> column -> cell."""
    found: dict[str, dict[str, str]] = {}
    for line in GUIDE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(COLUMNS) + 1 and cells[0].startswith("`"):
            found[cells[0].strip("`")] = dict(zip(COLUMNS, cells[1:], strict=True))
    return found


def test_the_table_has_every_provider() -> None:
    assert list(table_of_guide()) == list(load_providers())


@pytest.mark.parametrize("name", ALL)
async def test_what_the_guide_says_of_a_provider_is_what_comes_of_it(
    tmp_path: Path, warm_annotate: WarmProcess, name: str
) -> None:
    row = await Table(load_providers()[name], tmp_path, warm_annotate).row()
    assert {column: row[column] for column in COLUMNS} == table_of_guide()[name], " | ".join(
        (f"| `{name}`", *(row[column] for column in COLUMNS), "|")
    )
