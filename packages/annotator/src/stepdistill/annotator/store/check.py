"""What a store holds, and whether every value of it is still what was written."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.store.snapshot import PARTS, Part, Snapshot
from stepdistill.annotator.store.value import KEY_BYTES, DamagedValueError

_TELL_EVERY = 1_000
Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One entry that cannot be used."""

    part: Part  # where it lies
    key: bytes
    why: str  # what is wrong with it


@dataclass(slots=True, kw_only=True)
class Verified:
    """What was checked, and the damaged entries among it."""

    checked: dict[Part, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    damaged: list[Damage] = field(default_factory=list[Damage])


@dataclass(slots=True, kw_only=True)
class Contents:
    """What a store holds, counted."""

    answers: int = 0
    failures: int = 0
    value_bytes: int = 0  # of all answers, as they are stored
    file_bytes: int = 0
    dictionary_bytes: int = 0
    tokens: Counter[str] = field(default_factory=Counter[str])  # as the provider counted them
    by_model: Counter[str] = field(default_factory=Counter[str])
    by_mode: Counter[str] = field(default_factory=Counter[str])
    by_finish: Counter[str] = field(default_factory=Counter[str])
    by_reason: Counter[str] = field(default_factory=Counter[str])


def verify_store(store: ResponseStore, tell: Tell) -> Verified:
    """Check every entry; tell hears how many are done. Raises StoreError: no dictionary, no use."""
    found = Verified()
    with store.reading() as stored:
        for part in PARTS:
            for n, (key, value) in enumerate(stored.values(part), start=1):
                why = _wrong(stored, part, key, value)
                found.checked[part] = n
                if why:
                    found.damaged.append(Damage(part=part, key=key, why=why))
                if n % _TELL_EVERY == 0:
                    tell(n)
    return found


def _wrong(stored: Snapshot, part: Part, key: bytes, value: bytes) -> str | None:
    if len(key) != KEY_BYTES:
        return f"its key has {len(key)} bytes, not {KEY_BYTES}"
    try:
        read = stored.unpacker.answer if part == "responses" else stored.unpacker.failure
        read(key, value)
    except DamagedValueError as error:
        return str(error)
    return None


def contents_of(store: ResponseStore, tell: Tell) -> Contents:
    """Count everything. Raises StoreError when a value is damaged."""
    found = Contents(file_bytes=(store.path / "data.mdb").stat().st_size)
    with store.reading() as stored:
        found.dictionary_bytes = len(stored.dictionary[1]) if stored.dictionary else 0
        found.value_bytes = sum(len(value) for _, value in stored.values("responses"))
        for found.answers, (_, answer) in enumerate(stored.answers(), start=1):
            found.by_model[answer.model] += 1
            found.by_mode[answer.mode] += 1
            found.by_finish[answer.finish] += 1
            for name in ("prompt", "completion", "cached", "reasoning"):
                found.tokens[name] += getattr(answer.usage, name)
            if found.answers % _TELL_EVERY == 0:
                tell(found.answers)
        for found.failures, (_, failure) in enumerate(stored.failures(), start=1):
            found.by_reason[failure.reason] += 1
    return found
