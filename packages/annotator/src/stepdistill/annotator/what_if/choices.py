"""Choices that may be compared: templates or a mix of them, votes, a rationale rate, rows; and the
commands that would carry them out."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import join, quote

from pydantic import ValidationError

from stepdistill.annotator.prompt.mix import (
    Assignment,
    Mix,
    check_templates,
    load_mix,
    pairs_of,
    single,
)
from stepdistill.annotator.settings.rows import PROMPTS, shipped_tasks
from stepdistill.annotator.settings.run import STORE, RunSettings
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.settings.teacher import addresses_in
from stepdistill.common.errors import ConfigError
from stepdistill.common.urls import Place

_USUAL = ShardSettings()
_UNFIT = re.compile(r"[^\w.]+")  # for a folder's name: `label-first, 3 votes`


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChoice:
    """What a run could be.

    words: what names its mix on a command line; file: the content of the file that these words
    name, where it has to be written first; rows: the first so many of each split, None for all.
    """

    name: str
    mix: Mix
    words: tuple[str, ...]
    file: str | None = None
    votes: int = 1
    rate: float = 1.0
    rows: int | None = None

    @property
    def pairs(self) -> dict[Assignment, float]:
        """Each pair of templates with its share of the rows."""
        return pairs_of(self.mix)

    @property
    def labels(self) -> dict[str, float]:
        """Each template that labels come from, with its share of the rows."""
        shares: dict[str, float] = {}
        for pair, share in self.pairs.items():
            shares[pair.label] = shares.get(pair.label, 0.0) + share
        return shares

    @property
    def reasons(self) -> dict[str, float]:
        """Each template that is asked for reasons alone, with its share of the rows."""
        shares: dict[str, float] = {}
        for pair, share in self.pairs.items():
            if pair.rationale is not None and pair.rationale != pair.label:
                shares[pair.rationale] = shares.get(pair.rationale, 0.0) + share
        return shares

    @property
    def title(self) -> str:
        """Of all of it."""
        votes = "1 vote" if self.votes == 1 else f"{self.votes} votes"
        rate = "" if self.rate >= 1 else f", rate {self.rate:g}"
        return f"{self.name}, {votes}{rate}"

    def lines(self, config: RunSettings, *, batch: bool = False) -> list[str]:
        """What carries it out, as it can be pasted into a shell."""
        words = ["annotate", "run", config.task, "--teacher", config.teacher, *self.words]
        given: dict[str, object] = {
            "votes": self.votes if self.votes > 1 else None,
            "rationale-rate": f"{self.rate:g}" if self.rate < 1 else None,
            "samples": self.rows,
            "data": config.data,
            "split": ",".join(config.splits) if config.splits != ("train",) else None,
            "effort": config.effort,
            "logprobs": config.logprobs,
            "models": _named(config.models, "models.yaml"),
            "providers": _named(config.providers, "providers.yaml"),
            "prices": _named(config.prices, "prices.yaml"),
            "prompts": config.prompts if config.prompts not in (PROMPTS, shipped_tasks()) else None,
            "store": config.store if config.store != STORE.store else None,
            "out": self._out(config),
            **_shards(config.shards),
        }
        for name, value in given.items():
            words += [] if value is None else [f"--{name}", str(value)]
        words += [word for url in addresses_in(config.base_url) for word in ("--base-url", url)]
        words += [word for each in sorted(config.shards.filters) for word in ("--filter", each)]
        line = join([*words, "--batch-api"] if batch else words)
        return [line] if self.file is None else [f"echo {quote(self.file)} > {self.words[1]}", line]

    def _out(self, config: RunSettings) -> Place:
        """The run's own folder where this goes on with it; else one beside it, as the shards of
        another choice would take the place of its own."""
        own = (_words_of(config), config.votes, config.shards.rationale_rate)
        if (self.words, self.votes, self.rate) == own:
            return config.out
        return config.out.parent / f"{config.out.name}-{_UNFIT.sub('-', self.title)}"


def _words_of(config: RunSettings) -> tuple[str, ...]:
    """The templates of a run, as its command names them."""
    if config.template is not None:
        return ("--template", config.template)
    return () if config.mix is None else ("--mix", config.mix)


def _named(path: Path | None, usual: str) -> Path | None:
    """A file that is not found by itself."""
    return None if path is None or path == Path(usual) else path


def _shards(shards: ShardSettings) -> Mapping[str, object]:
    """What is not as usual of how answers become records."""
    names = (
        *("reader", "rationale_from", "min_confidence", "min_sureness", "judgements"),
        *("max_student_tokens", "student_tokenizer", "keep_rationales"),
    )
    return {
        name.replace("_", "-"): getattr(shards, name)
        for name in names
        if getattr(shards, name) != getattr(_USUAL, name)
    }


def choice_of_run(config: RunSettings, mix: Mix) -> RunChoice:
    """What the run itself is."""
    name = config.template or config.mix or "default"
    if config.template is None and len(mix.templates) == 1:
        name = next(iter(mix.templates))  # `default` says less than its one template does
    words, rate = _words_of(config), config.shards.rationale_rate
    return RunChoice(name=name, mix=mix, words=words, votes=config.votes, rate=rate)


def of_template(name: str) -> RunChoice:
    """One template for label and reasons."""
    return RunChoice(name=name, mix=single(name), words=("--template", name))


def of_mix(config: RunSettings, text: str, known: set[str]) -> RunChoice:
    """A mix by its name, its file, or its shares: `a:0.5+b:0.5`. Raises PromptError, ConfigError.

    known: the task's templates.
    """
    if ":" not in text or text.endswith((".yaml", ".yml")):
        mix = load_mix(config.prompts, config.task, text)
        check_templates(mix.templates, known, config.task)
        return RunChoice(name=text, mix=mix, words=("--mix", text))
    shares: dict[str, float] = {}
    for each in text.split("+"):
        name, _, share = each.rpartition(":")
        try:
            shares[name] = float(share)
        except ValueError:
            raise ConfigError(f"--mixes {text}: {each} is no share, as a:0.5+b:0.5") from None
    check_templates({*shares}, known, config.task)
    try:
        mix = Mix(label=shares, rationale=shares)
    except ValidationError as error:
        what = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"--mixes {text}: {what}") from None
    content = json.dumps({"label": shares, "rationale": shares})  # which is YAML, too
    return RunChoice(name=text, mix=mix, words=("--mix", "mix.yaml"), file=content)
