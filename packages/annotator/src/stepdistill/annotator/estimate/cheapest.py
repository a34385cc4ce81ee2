"""The cheapest way that is done by an hour: which mode, tier and host, for one model.

    online                  as fast as its limits let it
    flex, then online       at the tier's price; what has no room there goes at the usual one
    batches, then online    at the price of batches; what they leave is asked online in time
    by another provider     online, where its price is known and its key is set here

What a way costs likely and at most is an estimate's; how long it takes is by limits, by what
earlier runs have reached, or assumed: it is said which.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import plain_table
from stepdistill.annotator.estimate.estimate import Estimate
from stepdistill.annotator.estimate.run_estimate import Knowledge, estimate_run
from stepdistill.annotator.estimate.three_points import ThreePoints
from stepdistill.annotator.money.prices import load_own_prices
from stepdistill.annotator.provider.profile import Provider
from stepdistill.annotator.provider.profiles import load_providers, serving
from stepdistill.annotator.run.run_notes import notes_in
from stepdistill.annotator.settings.rows import OUT
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.teacher import read_key
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.metadata import METADATA_NAME, load_metadata
from stepdistill.common.errors import ConfigError

_ASSUMED_PER_S = 2.0  # answers, where nothing is known
_SLACK = 1.25  # of the time online: what is asked last must not be late for a slow hour
_FLEX_SLOWER = 3.0  # it waits for room
_BATCH_S, _SHORTEST_BATCH_S = 86_400.0, 1_800.0  # the window; what is worth beginning one for
_HOUR_S = 3600


class _Pace(NamedTuple):
    """How fast a teacher answers online."""

    per_s: float
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to have all rows answered."""

    name: str
    config: RunSettings
    usd: ThreePoints  # high: where all of it is asked online in the end
    done_s: float  # from now, at the latest for all that is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways that there are, the cheapest first."""

    by_s: float  # when it has to be done, from now
    basis: str  # how the time online is known
    ways: Sequence[Way]

    @property
    def chosen(self) -> Way | None:
        """The cheapest of those that are done in time; None where none is."""
        return next((way for way in self.ways if way.done_s <= self.by_s), None)


def find_ways(config: RunSettings, known: Knowledge, by_s: float) -> Ways:
    """All of them. Raises DistillError: what is wrong with prompts, rows or prices."""
    config = replace(config, cheapest_by_s=None)
    found = list(_ways(config, known, by_s))
    pace = _pace(config, estimate_run(config, known))
    ordered = sorted(found, key=lambda way: (way.usd.likely, way.usd.high, way.done_s))
    return Ways(by_s=by_s, basis=pace.basis, ways=ordered)


def choose_cheapest(config: RunSettings, output: ConsoleOutput) -> RunSettings:
    """The settings of the way that is taken, after all were shown. Raises ConfigError: none is done
    in time."""
    assert config.cheapest_by_s is not None
    known = Knowledge(
        own=load_own_prices(config.prices),
        metadata=load_metadata(OUT / config.task / METADATA_NAME, config.task),
        day=datetime.now(UTC).date(),
    )
    ways = find_ways(config, known, config.cheapest_by_s)
    output.table(ways_table(ways))
    chosen = ways.chosen
    if chosen is None:
        fastest = min(way.done_s for way in ways.ways)
        raise ConfigError(
            f"--cheapest-by: no way is done within {_span(ways.by_s)}; the fastest takes "
            f"{_span(fastest)} ({ways.basis})"
        )
    output.show(f"taken: {chosen.name}; {ways.basis}")
    return chosen.config


def ways_table(ways: Ways) -> Table:
    """A row for each."""
    chosen = ways.chosen
    rows = [
        (
            *("-> " if way is chosen else "   ", way.name),
            f"{way.usd.likely:,.4f}",
            f"{way.usd.high:,.4f}",
            _span(way.done_s) + ("" if way.done_s <= ways.by_s else ", late"),
        )
        for way in ways.ways
    ]
    return plain_table(["", "way"], ["USD", "at most", "done within"], rows)


def _span(seconds: float) -> str:
    """A time as people say it: 5 min, 18.0 h."""
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{seconds / _HOUR_S:,.1f} h"


def ways_facts(ways: Ways) -> dict[str, object]:
    """The same for `--json`."""
    chosen = ways.chosen
    return {
        "by_s": ways.by_s,
        "basis": ways.basis,
        "chosen": chosen.name if chosen is not None else None,
        "ways": [
            {"way": way.name, "usd": list(way.usd), "done_s": round(way.done_s, 1)}
            for way in ways.ways
        ],
    }


def _ways(config: RunSettings, known: Knowledge, by_s: float) -> Iterator[Way]:
    found = estimate_run(config, known)
    online_s = found.work.to_ask / _pace(config, found).per_s * _SLACK
    provider = serving(config.teacher, config.base_url, config.providers).provider
    who = provider.full_name or "the server"
    yield Way(name=f"online at {who}", config=config, usd=found.online_usd, done_s=online_s)
    if "flex" in provider.tiers:
        flex = replace(config, tier="flex", tier_fallback=True)
        usd = estimate_run(flex, known).online_usd
        high = max(usd.high, found.online_usd.high)
        yield Way(
            name=f"flex, then online at {who}",
            config=flex,
            usd=usd._replace(high=high),
            done_s=online_s * _FLEX_SLOWER,
        )
    yield from _batches(config, found, provider, online_s, by_s)
    for other in _elsewhere(config, provider):
        there = replace(config, teacher=other, base_url=None)
        try:
            usd = estimate_run(there, known).online_usd
        except ConfigError:  # nobody knows its price there
            continue
        yield Way(name=f"online, as {other}", config=there, usd=usd, done_s=online_s)


def _batches(
    config: RunSettings, found: Estimate, provider: Provider, online_s: float, by_s: float
) -> Iterator[Way]:
    """By batches, with what they leave asked online in time."""
    wait_s = min(_BATCH_S, by_s - online_s)
    if provider.batch is None or wait_s < _SHORTEST_BATCH_S or config.uses_simulator:
        return
    batch = replace(config.batch, fallback_online_after_s=wait_s)
    high = max(found.batch_usd.high, found.online_usd.high)
    yield Way(
        name=f"batches, then online at {provider.full_name}",
        config=replace(config, batch_api=True, batch=batch),
        usd=found.batch_usd._replace(high=high),
        done_s=wait_s + online_s,
    )


def _elsewhere(config: RunSettings, provider: Provider) -> Iterator[str]:
    """The same model at other providers whose key is set here."""
    if config.uses_simulator or config.base_url is not None:
        return
    served = serving(config.teacher, None, config.providers)
    for other in load_providers(config.providers).values():
        is_set = any(read_key(name) is not None for name in other.key_env)
        if other.base_url is None or other.base_url == provider.base_url or not is_set:
            continue
        # OpenRouter and others call a model by who made it, too: openai/gpt-x
        prefixed = f"{provider.name}/{served.model}" if other.reports_cost else served.model
        yield f"{other.name}:{prefixed}"


def _pace(config: RunSettings, found: Estimate) -> _Pace:
    """How fast the teacher answers: by its limits, by earlier runs, else assumed."""
    if found.online_s:
        per_s = found.work.to_ask / found.online_s
        return _Pace(per_s, f"{per_s:,.1f} requests a second, by the limits given")
    if (config.store / "data.mdb").exists():
        with ResponseStore.open(config.store, write=False) as store:
            notes = [note for note in notes_in(store) if note.teacher == config.teacher]
        starts = [start for note in notes for start in note.starts if start.mode == "online"]
        rates = [s.asked / (s.ended_at - s.at) for s in starts if s.ended_at and s.asked >= 20]
        if rates:
            return _Pace(max(rates), f"{max(rates):,.1f} answers a second, as an earlier run had")
    assumed = f"{_ASSUMED_PER_S:g} answers a second are assumed: --requests-per-minute says more"
    return _Pace(_ASSUMED_PER_S, assumed)
