"""What a teacher knew of its own words, as it is kept with an answer: only where it was in doubt.

A place in an answer's text for each token that was not all but certain, as a flat list:

    [characters since the place before, characters, own, other, its, other, its, ...]

`own` is how improbable the token was that stands there, `its` the same of another one that could
have stood there, in thousandths of a nat (-1000 ln p). Of 100 tokens of prose some 30 are in doubt,
a label's seldom more than one: where labels have known names, all that lies between places that
name one is kept as a stretch, [characters since the place before, characters], that was in doubt
somehow.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import exp, log
from typing import NamedTuple

KeptLogprobs = list[list[int | str]]
# A token as probable as this needs no place of its own; an alternative below the least none either.
CERTAIN, LEAST = 0.9995, 0.001
_PER_NAT = 1000


class TokenDoubt(NamedTuple):
    """A token that could have been another one.

    probability: of what stands there, None where nobody knows. others: (what could have stood
    there, how probable). A character that several tokens spell stands with the last of them.
    """

    start: int  # in characters of the answer's text
    end: int
    probability: float | None
    others: tuple[tuple[str, float], ...] = ()


def kept_logprobs(doubts: Iterable[TokenDoubt]) -> KeptLogprobs:
    """Tokens of one answer, in their order, as they are kept: those that are in doubt."""
    kept, end = KeptLogprobs(), 0
    for each in doubts:
        if each.probability is not None and each.probability >= CERTAIN:
            continue
        place: list[int | str] = [each.start - end, each.end - each.start]
        if each.probability is not None:
            place.append(_improbable(each.probability))
        for text, probability in each.others:
            if probability >= LEAST:
                place += [text, _improbable(probability)]
        kept.append(place)
        end = each.end
    return kept


def doubts_in(kept: KeptLogprobs) -> Iterator[TokenDoubt]:
    """The tokens that were in doubt. Raises ValueError or TypeError: these are none."""
    end = 0
    for gap, length, *told in kept:
        start = end + int(gap)
        end = start + int(length)
        others = zip(told[1::2], told[2::2], strict=True)
        yield TokenDoubt(
            start,
            end,
            _probable(told[0]) if told else None,
            tuple((str(text), _probable(each)) for text, each in others),
        )


def near(places: Sequence[tuple[int, int]], kept: KeptLogprobs) -> KeptLogprobs:
    """The same with no more than what stands in these places of the text, or touches them."""
    found = list[TokenDoubt]()
    for each in doubts_in(kept):
        if any(start <= each.end and each.start <= end for start, end in places):
            found.append(each)
            continue
        last = found[-1] if found and found[-1].probability is None else None
        if last and not any(last.end < start < each.start for start, _ in places):
            found[-1] = TokenDoubt(last.start, each.end, None)
        else:
            found.append(TokenDoubt(each.start, each.end, None))
    return kept_logprobs(found)


def _probable(improbable: int | str) -> float:
    return exp(-int(improbable) / _PER_NAT)


def _improbable(probability: float) -> int:
    return round(-log(max(probability, 1e-9)) * _PER_NAT)
