"""Which template leads, and how the others compare with it: on common rows alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.study.ranking import compared, rank, unread_remarks
from tests.annotator.study.made import scored


def test_the_most_accurate_leads_and_among_equals_the_cheaper() -> None:
    ranking = rank(
        [
            scored("dear", "1110", cost_usd=4.0),
            scored("poor", "1000", cost_usd=0.1),
            scored("cheap", "0111", cost_usd=2.0),
        ]
    )
    assert [entry.scored.template for entry in ranking] == ["cheap", "dear", "poor"]
    assert [entry.rank for entry in ranking] == [1, 2, 3]
    assert ranking[0].against_leader is None


def test_a_comparison_counts_the_rows_that_both_answered() -> None:
    leader, other = scored("leader", "1111111-"), scored("other", "100000-1")
    (_, second) = rank([other, leader])
    against = second.against_leader
    assert against is not None
    assert (against.rows, against.only_other, against.only_one) == (6, 5, 0)
    assert against.difference == pytest.approx(-5 / 6)
    assert against.p == second.p_holm == 2 / 2**5


def test_more_templates_make_each_comparison_more_careful() -> None:
    leader, other = scored("a", "1" * 8), scored("b", "0" * 6 + "11")
    alone = rank([leader, other])[1]
    among = rank([leader, other, scored("c", "0" * 6 + "11"), scored("d", "0" * 8)])[1]
    assert alone.against_leader is not None
    assert alone.against_leader == among.against_leader
    assert alone.p_holm is not None and among.p_holm is not None
    assert among.p_holm > alone.p_holm


@given(st.lists(st.text("01-", min_size=6, max_size=6), min_size=1, max_size=8))
def test_any_outcomes_can_be_ranked(outcomes: list[str]) -> None:
    ranking = rank([scored(f"t{n}", correct) for n, correct in enumerate(outcomes)])
    accuracies = [entry.scored.score.accuracy for entry in ranking]
    assert accuracies == sorted(accuracies, reverse=True)
    for entry in ranking[1:]:
        against = entry.against_leader
        assert against is not None and entry.p_holm is not None
        assert 0 <= against.p <= entry.p_holm <= 1
        assert -1 <= against.difference <= 1


def test_of_nothing_nobody_leads() -> None:
    assert rank([]) == []


def test_a_template_of_which_nothing_could_be_read_has_no_rank_and_leads_nobody() -> None:
    unread = scored("unread", "0000", labels=0, cost_usd=0.0)
    poor, good = scored("poor", "0000"), scored("good", "1110")

    ranking = rank([unread, poor, good])
    assert [(each.scored.template, each.rank) for each in ranking] == [
        ("good", 1),
        ("poor", 2),
        ("unread", None),
    ]
    assert ranking[1].p_holm == rank([poor, good])[1].p_holm
    (remark,) = unread_remarks(ranking, "sums")
    assert "template unread: 0 of 4 answers readable" in remark
    assert "annotate parse sums --template unread" in remark


def test_where_nothing_could_be_read_nobody_leads() -> None:
    (alone,) = rank([scored("unread", "00", labels=0)])
    assert (alone.rank, alone.against_leader) == (None, None)


def test_templates_are_ranked_on_the_rows_that_they_have_in_common() -> None:
    easy, most = scored("easy", "11111---"), scored("most", "11111000")
    assert compared([easy, most]) == ({f"row-{n}" for n in range(5)}, {"easy", "most"})


def test_who_was_asked_other_rows_has_no_rank() -> None:
    most, other = scored("most", "11110000"), scored("other", "111-----")
    rows, names = compared([other, most])
    assert (len(rows), names) == (8, {"most"})
    first, last = rank([other, most], apart={"other"})
    assert (first.scored.template, first.rank) == ("most", 1)
    assert (last.scored.template, last.rank, last.against_leader) == ("other", None, None)
