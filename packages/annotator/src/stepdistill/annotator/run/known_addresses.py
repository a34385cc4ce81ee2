"""Which address a model's answers are kept under, where several are named, or have been.

A request's key has its host in it, and servers that are named together are one teacher: whichever
of them answers, the answer is kept under one address. By what the store remembers of earlier runs
that is the address of whichever group one of them was in; else, of those that were asked alone, the
one that was asked most; else the first. So nothing is asked anew where an address is added, left
out, or named in another place (decision 48).
"""

from collections import Counter
from dataclasses import replace

from stepdistill.annotator.plan.key import Endpoint, endpoint_of
from stepdistill.annotator.run.run_notes import RunNote, notes_in
from stepdistill.annotator.run.teacher import addresses_named, usable_url
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.teacher import Addresses
from stepdistill.annotator.store.response_store import ResponseStore


def with_known_addresses(config: RunSettings) -> RunSettings:
    """The settings with the address that the answers are kept under. Raises ConfigError: one of
    them is none; StoreError. Not to be called while the store is open."""
    named = [usable_url(each) for each in addresses_named(config)]
    if not named:
        return config
    if config.base_url is None and len(named) > 1:  # a provider's, that the notes are to know
        config = replace(config, base_url=Addresses.of(named))
    if not (config.store / "data.mdb").exists():
        return config
    with ResponseStore.open(config.store, write=False) as store:
        notes = [each for each in notes_in(store) if each.teacher == config.teacher]
    kept_as = _kept_as([endpoint_of(each) for each in named], notes)
    if kept_as is None or endpoint_of(kept_as) == endpoint_of(named[0]):
        return config
    return replace(config, base_url=Addresses.of(named, kept_as))


def _kept_as(named: list[Endpoint], notes: list[RunNote]) -> str | None:
    """The address, None for the first. notes: the latest last."""
    asked: Counter[str] = Counter()
    together: str | None = None
    for note in notes:
        if note.base_url is None:
            continue
        if any(endpoint_of(each) in named for each in note.addresses):
            together = note.base_url
        if endpoint_of(note.base_url) in named:
            asked[note.base_url] += 1 + sum(start.asked + start.cached for start in note.starts)
    return together or (asked.most_common(1)[0][0] if asked else None)
