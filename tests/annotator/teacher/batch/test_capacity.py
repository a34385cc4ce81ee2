"""What may lie at the teacher's: tokens of a model, creations in an hour, and waits that grow."""

from stepdistill.annotator.settings.teacher import BatchSettings
from stepdistill.annotator.teacher.batch.capacity import (
    CREATIONS_PER_HOUR,
    Capacity,
    bounds_of,
    enqueued,
)
from stepdistill.annotator.teacher.batch.part import BatchPart, Stamp, State
from tests.annotator.teacher.batch.asking import Clock


def a_part(number: int, state: State = "prepared", **changes: object) -> BatchPart:
    fields: dict[str, object] = {
        "number": number,
        "run": "r",
        "task": "t",
        "sha256": "0" * 64,
        "requests": 10,
        "bytes": 1000,
        "tokens": 100,
        "model": "m",
        "endpoint": "e",
        "base_url": "http://e/v1",
        "limit": 9,
        "state": state,
        "history": (Stamp(state="prepared", at=0.0),),
    }
    return BatchPart.model_validate({**fields, **changes})


def test_parts_are_fed_as_room_comes():
    capacity = Capacity(250, Clock())
    live = [a_part(1, "submitted"), a_part(2, "creating")]

    assert not capacity.has_room(a_part(3), live)
    assert capacity.has_room(a_part(3), [live[0], a_part(2, "collected")])
    assert capacity.has_room(a_part(3), [live[0], a_part(2, "submitted", remote="completed")])
    assert capacity.has_room(a_part(3, model="another"), live)


def test_without_a_limit_everything_goes():
    assert Capacity(None, Clock()).has_room(a_part(1, tokens=10**9), [])


def test_a_limit_that_the_teacher_names_is_kept_and_the_tighter_one_counts():
    clock = Clock()
    capacity = Capacity(None, clock)
    capacity.refused(150)
    clock.now += 3600

    assert not capacity.has_room(a_part(2), [a_part(1, "submitted")])
    assert capacity.has_room(a_part(2), [])
    assert capacity.is_too_large(a_part(3, tokens=151))
    capacity.refused(5000)
    assert capacity.limit_tokens == 150


def test_after_each_refusal_it_waits_for_longer_until_a_batch_ends():
    clock = Clock()
    capacity = Capacity(None, clock)
    waits: list[float] = []
    for _ in range(12):
        capacity.refused(None)
        start = clock.now
        while not capacity.has_room(a_part(1), []):
            clock.now += 1
        waits.append(clock.now - start)

    assert waits == sorted(waits)
    assert waits[0] == 2
    assert waits[-1] == 600
    capacity.refused(None)
    capacity.freed()
    assert capacity.has_room(a_part(1), [])


def test_it_waits_as_long_as_it_is_told():
    clock = Clock()
    capacity = Capacity(None, clock)
    capacity.refused(None, 90.0)
    clock.now += 89
    assert not capacity.has_room(a_part(1), [])
    clock.now += 2
    assert capacity.has_room(a_part(1), [])


def test_creations_of_the_last_hour_are_counted_whatever_process_made_them():
    clock = Clock()
    stamps = tuple(
        Stamp(state="creating", at=clock.now - 3599 + n) for n in range(CREATIONS_PER_HOUR)
    )
    busy = a_part(1, "collected", history=stamps)
    capacity = Capacity(None, clock)

    assert not capacity.has_room(a_part(2), [busy])
    clock.now += 2  # the first is an hour ago
    assert capacity.has_room(a_part(2), [busy])


def test_a_part_does_not_stand_in_its_own_way():
    assert enqueued(a_part(1, "submitted"), [a_part(1, "submitted")]) == 0


def test_a_batch_holds_no_more_than_its_provider_takes():
    usual = BatchSettings()
    assert bounds_of(usual, "openai") == bounds_of(usual, None) == (50_000, 190_000_000)
    assert bounds_of(usual, "openrouter") == (5_000, 95_000_000)
    large = BatchSettings(max_requests=10**7, max_mb=10_000)
    assert bounds_of(large, "anthropic") == (100_000, 240_000_000)
    assert bounds_of(BatchSettings(max_requests=7), "mistral").requests == 7
