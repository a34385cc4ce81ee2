"""A ceiling is never crossed: whatever is asked, answered, lost or killed, in whatever order."""

from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stepdistill.annotator.money.budget import Budget, BudgetState, Grant
from stepdistill.annotator.money.prices import ZERO

CENTS = st.integers(1, 40).map(lambda n: Decimal(n) / 100)
SHARE = st.integers(0, 100).map(lambda n: Decimal(n) / 100)


def a_budget(ceiling: str) -> Budget:
    return Budget(Decimal(ceiling))


def left_usd(budget: Budget) -> Decimal:
    """What may still be promised."""
    return budget.ceiling_usd - budget.used_usd


def granted(budget: Budget, amount: str) -> Budget:
    budget.granted(budget.state(Decimal(amount)))
    return budget


def test_nothing_goes_before_it_is_granted_and_nothing_is_granted_above_the_ceiling():
    budget = a_budget("1")
    assert budget.judge(Decimal("0.4")) is Grant.GRANT

    granted(budget, "5")

    assert budget.granted_usd == 1
    assert budget.judge(Decimal("0.4")) is Grant.YES


def test_what_does_not_fit_waits_for_what_is_in_flight_and_never_goes_without():
    budget = granted(a_budget("1"), "1")
    budget.reserve(Decimal("0.8"))
    assert budget.judge(Decimal("0.4")) is Grant.WAIT

    budget.settle(Decimal("0.8"), Decimal("0.1"))
    assert budget.judge(Decimal("0.4")) is Grant.YES

    budget.reserve(Decimal("0.8"))
    budget.lose(Decimal("0.8"))
    assert budget.judge(Decimal("0.4")) is Grant.NEVER
    assert left_usd(budget) == Decimal("0.1")


def test_a_kill_writes_off_what_was_granted_and_a_clean_end_does_not():
    budget = granted(a_budget("1"), "0.5")
    budget.reserve(Decimal("0.3"))
    killed = Budget(budget.ceiling_usd, budget.state(ZERO))
    budget.settle(Decimal("0.3"), Decimal("0.2"))
    ended = Budget(budget.ceiling_usd, budget.final_state())

    assert (killed.paid_usd, killed.lost_usd, left_usd(killed)) == (
        0,
        Decimal("0.5"),
        Decimal("0.5"),
    )
    assert (ended.paid_usd, ended.lost_usd, left_usd(ended)) == (Decimal("0.2"), 0, Decimal("0.8"))


def test_so_little_is_in_flight_that_a_kill_writes_off_a_tenth():
    budget, worst = granted(a_budget("1"), "1"), Decimal("0.03")
    while not budget.is_crowded(worst):
        budget.reserve(worst)
    assert budget.reserved_usd == Decimal("0.09")

    alone = granted(a_budget("1"), "1")
    assert not alone.is_crowded(Decimal("0.5"))  # or it could never be asked


def test_what_a_batch_holds_outlives_the_process_that_promised_it():
    budget = granted(a_budget("1"), "0.6")
    budget.hold("part-1", Decimal("0.6"))
    again = Budget(budget.ceiling_usd, budget.final_state())
    assert again.judge(Decimal("0.5")) is Grant.WAIT

    again.settle_held("part-1", paid_usd=Decimal("0.1"))
    again.settle_held("part-1", paid_usd=Decimal("0.1"))  # collected twice, paid for once

    assert (again.used_usd, again.lost_usd) == (Decimal("0.1"), 0)


def test_a_kill_after_batches_were_settled_writes_nothing_off():
    budget = a_budget("1")
    for name in ("part-1", "part-2"):
        budget.hold(name, Decimal("0.4"))
        budget.granted(budget.batch_state())
    budget.settle_held("part-1", paid_usd=Decimal("0.1"))
    disk = budget.batch_state()

    again = Budget(budget.ceiling_usd, disk)
    assert (again.paid_usd, again.lost_usd) == (Decimal("0.1"), 0)
    assert left_usd(again) == Decimal("0.5")


def test_a_batch_takes_back_no_grant_that_requests_rely_on():
    budget = a_budget("1")
    written = budget.state(Decimal("0.5"))  # a thread is writing it down
    budget.hold("part-1", Decimal("0.2"))
    for _ in range(2):  # however often batches write meanwhile
        held = budget.batch_state()
        budget.granted(held)
        assert held.granted_usd == Decimal("0.5")
    budget.granted(written)
    budget.reserve(Decimal("0.3"))
    budget.settle_held("part-1", paid_usd=Decimal("0.1"))
    assert budget.batch_state().granted_usd == Decimal("0.5")


def test_what_comes_back_of_a_batch_is_promised_once_that_is_written():
    budget = a_budget("1")
    budget.hold("part-1", Decimal("0.4"))
    disk = budget.batch_state()
    budget.granted(disk)
    budget.settle_held("part-1", paid_usd=Decimal("0.1"))
    assert budget.judge(Decimal("0.3")) is Grant.GRANT  # a kill now leaves it held by the batch

    disk = budget.state(Decimal("0.3"))
    budget.granted(disk)
    assert budget.judge(Decimal("0.3")) is Grant.YES
    budget.reserve(Decimal("0.3"))
    assert Budget(budget.ceiling_usd, disk).used_usd == Decimal("0.4")


@dataclass
class World:
    """The teacher's books, which nobody shows us."""

    paid: Decimal = ZERO
    in_flight: list[tuple[Decimal, Decimal]] = field(default_factory=list[tuple[Decimal, Decimal]])
    batches: dict[str, tuple[Decimal, Decimal]] = field(
        default_factory=dict[str, tuple[Decimal, Decimal]]
    )


class Spending(RuleBasedStateMachine):
    """Requests and batches go, are answered or lost, and the process is killed now and then.

    What a request costs is booked when it is sent: the worst that can be.
    """

    ceiling = Decimal(2)

    def __init__(self) -> None:
        super().__init__()
        self.world, self.disk = World(), BudgetState()
        self.budget = Budget(self.ceiling, self.disk)
        self.batch = 0

    def _may(self, worst: Decimal) -> bool:
        if self.budget.judge(worst) is Grant.GRANT:
            self.disk = self.budget.state(2 * worst)
            self.budget.granted(self.disk)
        return self.budget.judge(worst) is Grant.YES

    @rule(worst=CENTS, share=SHARE)
    def send(self, worst: Decimal, share: Decimal) -> None:
        if self._may(worst):
            self.budget.reserve(worst)
            self.world.paid += worst * share
            self.world.in_flight.append((worst, worst * share))

    @precondition(lambda self: self.world.in_flight)
    @rule(is_lost=st.booleans(), which=st.integers(0, 999))
    def hear(self, is_lost: bool, which: int) -> None:
        worst, paid = self.world.in_flight.pop(which % len(self.world.in_flight))
        if is_lost:
            self.budget.lose(worst)
        else:
            self.budget.settle(worst, paid)

    @rule(worst=CENTS, share=SHARE)
    def send_batch(self, worst: Decimal, share: Decimal) -> None:
        if not self._may(worst):
            return
        self.batch += 1
        self.budget.hold(str(self.batch), worst)
        self.disk = self.budget.batch_state()  # held on the disk before it is sent
        self.budget.granted(self.disk)
        paid = worst * share
        self.world.paid += paid
        self.world.batches[str(self.batch)] = worst, paid

    @precondition(lambda self: self.world.batches)
    @rule(is_written=st.booleans())
    def collect(self, is_written: bool) -> None:
        name = next(iter(self.world.batches))
        _, paid = self.world.batches[name]
        self.budget.settle_held(name, paid_usd=paid)
        if is_written:
            self.disk = self.budget.batch_state()
            self.budget.granted(self.disk)
            del self.world.batches[name]

    @rule(cleanly=st.booleans())
    def end_and_start_again(self, cleanly: bool) -> None:
        if cleanly and not self.world.in_flight:
            self.disk = self.budget.final_state()
        self.world.in_flight.clear()
        self.budget = Budget(self.ceiling, self.disk)

    @invariant()
    def the_ceiling_holds(self) -> None:
        assert self.world.paid <= self.ceiling
        assert self.budget.used_usd <= self.ceiling
        assert self.world.paid <= self.budget.used_usd


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=60, stateful_step_count=40)


@given(st.lists(CENTS, max_size=60))
def test_what_is_left_shrinks_by_what_was_paid_and_by_nothing_else(amounts: list[Decimal]):
    budget = granted(a_budget("100"), "100")
    for amount in amounts:
        budget.reserve(2 * amount)
        budget.settle(2 * amount, amount)

    assert left_usd(budget) == 100 - sum(amounts, ZERO)
