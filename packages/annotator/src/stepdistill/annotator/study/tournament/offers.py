"""What can be bought: offers, each a teacher with its effort and tier, a template, and a price.

Tiers and batches differ in price alone: a request and its key are the same, so all offers of one
teacher, effort and template share one contender, which is asked once, at the cheapest tier that was
named; each offer's cost is reckoned from the tokens of these answers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from stepdistill.annotator.money.prices import Price, Tariff
from stepdistill.annotator.money.reservations import check_bodies
from stepdistill.annotator.run.known_addresses import with_known_addresses
from stepdistill.annotator.run.teacher import teacher_spec
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.study import ExperimentSettings
from stepdistill.annotator.settings.teacher import addresses_in
from stepdistill.annotator.study.trial import Choice, Trial, make_trial
from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.common.command_line import taken_from
from stepdistill.common.errors import ConfigError
from stepdistill.common.named_teacher import NamedTeacher, named_teachers
from stepdistill.common.urls import without_secrets

_THOUSANDS = 1000  # tokens of a prompt and of an answer by which prices are put in order beforehand


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedTeacher:
    """A way to buy a teacher's answers: its settings and its price."""

    named: NamedTeacher
    config: RunSettings
    spec: TeacherSpec
    price: Price | None  # of today; None: not known

    @property
    def name(self) -> str:
        """How it is called beside the others."""
        return self.named.name

    @property
    def asks_at_usd(self) -> float:
        """What is asked for a round number of tokens when it is asked online; inf: not known."""
        price = None if self.named.is_batch else self.price
        return float(price.worst_usd(_THOUSANDS, _THOUSANDS)) if price else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A teacher with its effort: one to be asked, and how its answers can be bought."""

    trial: Trial  # the rows, and its templates
    ways: tuple[PricedTeacher, ...]

    @property
    def name(self) -> str:
        """How it is called in lines about it: as it is asked."""
        return self.ways[0].name

    @property
    def contenders(self) -> dict[str, str]:
        """Template -> what it is called in the race together with this teacher."""
        return {template: f"{self.name} / {template}" for template in self.trial.plans}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrants:
    """All that takes part."""

    rivals: tuple[Rival, ...]
    remarks: tuple[str, ...]  # what a person should know, a line each

    @property
    def n_rows(self) -> int:
        """That each contender is asked at most."""
        return self.rivals[0].trial.n_rows


def make_field(settings: ExperimentSettings) -> Entrants:
    """All teachers, templates and rows, before anybody is asked. Raises DistillError: one of them
    is not to be asked like that."""
    ways = [_way(settings, named) for named in named_teachers(settings.teachers)]
    groups = dict[tuple[object, ...], list[PricedTeacher]]()
    for way in ways:
        endpoint, options = way.spec.endpoint, way.spec.options.model_dump_json()
        groups.setdefault((way.spec.model, endpoint, options), []).append(way)
    for group in groups.values():
        _check_group(group)
    rivals = [_rival(group, taken_from(settings, Choice)) for group in groups.values()]
    told = (line for rival in rivals for line in rival.trial.remarks)
    return Entrants(rivals=tuple(rivals), remarks=tuple(dict.fromkeys((*told, *_unpriced(rivals)))))


def _way(settings: ExperimentSettings, named: NamedTeacher) -> PricedTeacher:
    try:
        config = with_known_addresses(settings.asking_of(named))
        spec = teacher_spec(config)
        if not config.offline:
            spec.ready_to_ask()
            # Which says where it takes none.
            teacher_spec(replace(config, batch_api=named.is_batch))
    except ConfigError as error:
        raise ConfigError(f"{named.name}: {error}") from None
    return PricedTeacher(named=named, config=config, spec=spec, price=None)


def _check_group(group: Sequence[PricedTeacher]) -> None:
    """Raises ConfigError: two of one name at different addresses, whose answers nobody could tell
    apart; or the same twice."""
    first = group[0]
    for way in group[1:]:
        urls = [without_secrets(each.spec.base_url) for each in (first, way)]
        if urls[0] != urls[1] or addresses_in(first.config.base_url) != addresses_in(
            way.config.base_url
        ):
            raise ConfigError(
                f"--teachers: {first.spec.model} at {urls[0]} and at {urls[1]}: answers of servers "
                "of this machine are kept by the model's name, so give each a name of its own; or "
                "name both behind one teacher, if they serve the same"
            )


def _rival(group: Sequence[PricedTeacher], choice: Choice) -> Rival:
    trial = make_trial(group[0].config, choice)
    tariff, today = trial.run.tariff, datetime.now(UTC).date()
    priced = [replace(each, price=_price(tariff, each)) for each in group]
    # Asked online in any case: at the cheapest of its tiers, the usual one where only batches are.
    priced.sort(key=lambda each: (each.named.is_batch, each.asks_at_usd))
    first = priced[0]
    if first.config != group[0].config:
        trial = make_trial(first.config, choice)
    if first.config.max_cost_usd is not None:
        trial.run.tariff.known_price(today, tier=trial.run.teacher.tier)
        check_bodies(trial.plans.values(), trial.run.tariff)
    return Rival(trial=trial, ways=tuple(priced))


def _price(tariff: Tariff, way: PricedTeacher) -> Price | None:
    today = datetime.now(UTC).date()
    if way.named.is_batch:
        return tariff.price(today, mode="batch")
    return tariff.price(today, tier=way.config.served_tier)


def _unpriced(rivals: Iterable[Rival]) -> Iterator[str]:
    for rival in rivals:
        for way in rival.ways:
            if way.price is None:
                yield (
                    f"{way.name}: no price is known for {way.spec.model} at "
                    f"{way.spec.endpoint.name}, so it is ranked by accuracy alone, and nothing is "
                    "said of what it costs: state it in prices.yaml (or --prices FILE)"
                )
