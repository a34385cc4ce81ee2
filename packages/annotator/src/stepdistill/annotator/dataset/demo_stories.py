"""The words of the demo task: who, what, and the stories of each operation.

The stories of different operations share their words on purpose ("in all", "each", "gave",
"more"): what solves a problem is who does what, and what is asked.
"""

from dataclasses import dataclass
from typing import Literal

Operation = Literal["addition", "subtraction", "multiplication", "division"]
OPERATIONS: tuple[Operation, ...] = ("addition", "subtraction", "multiplication", "division")

# Name, subject, possessive.
CHILDREN = (
    ("Anna", "she", "her"),
    ("Ben", "he", "his"),
    ("Clara", "she", "her"),
    ("David", "he", "his"),
    ("Emma", "she", "her"),
    ("Felix", "he", "his"),
    ("Grace", "she", "her"),
    ("Henry", "he", "his"),
    ("Iris", "she", "her"),
    ("Jonas", "he", "his"),
    ("Kara", "she", "her"),
    ("Leo", "he", "his"),
    ("Maria", "she", "her"),
    ("Noah", "he", "his"),
    ("Olga", "she", "her"),
    ("Peter", "he", "his"),
)
THINGS = (
    *("marbles", "apples", "stickers", "pencils", "shells", "cookies", "stamps", "cards"),
    *("coins", "plums", "buttons", "beads", "flowers", "tickets", "peaches", "stones"),
)
PLACES = ("garden", "kitchen", "park", "school", "market", "library", "barn", "house")

# Nobody with a name, and nothing that a question is ever about.
OTHER_PEOPLE = ("A neighbour", "The teacher", "An uncle", "A cousin", "The baker", "A farmer")
OTHER_THINGS = ("eggs", "ribbons", "candles", "nails", "lemons", "books", "hats", "spoons")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """How a problem is told; {a} and {b} are its numbers, in the order of the operation."""

    opening: str
    turn: str
    question: str
    rationale: str


STORIES: dict[Operation, tuple[Story, ...]] = {
    "addition": (
        Story(
            opening="{name} had {a} {things} in a box.",
            turn="Later {she} found {b} more {things} in the {place}.",
            question="How many {things} did {name} have in all?",
            rationale="{name} kept {a} {things} and found {b} more, so both amounts come together.",
        ),
        Story(
            opening="{name} picked {a} {things} near the {place} in the morning.",
            turn="{She} picked {b} {things} in the afternoon.",
            question="How many {things} did {she} pick in total that day?",
            rationale="The {things} of the morning and of the afternoon are counted together.",
        ),
        Story(
            opening="There were {a} {things} on a table in the {place}.",
            turn="{name} put {b} more {things} beside them.",
            question="How many {things} were there altogether?",
            rationale="{name} put {b} {things} beside the {a} on the table, so the pile grew.",
        ),
        Story(
            opening="{name} had {a} {things} at the {place}.",
            turn="Then {friend} gave {name} {b} of {her} own {things}.",
            question="How many {things} did {name} have after that gift?",
            rationale="The gift from {friend} joins the {a} {things} that {name} already had.",
        ),
        Story(
            opening="{name} brought {a} {things} to the {place}.",
            turn="{friend} brought {b} {things} to the same {place}.",
            question="How many {things} did both children bring together?",
            rationale="The {things} of {name} and the {things} of {friend} make one larger heap.",
        ),
    ),
    "subtraction": (
        Story(
            opening="{name} had {a} {things} in a box.",
            turn="{She} gave {b} {things} to {friend} at the {place}.",
            question="How many {things} did {name} have left?",
            rationale="{name} gave {b} of the {a} {things} to {friend}, so fewer are left.",
        ),
        Story(
            opening="{name} picked {a} {things} in the morning.",
            turn="On the way to the {place} {she} lost {b} {things}.",
            question="How many {things} did {she} still have?",
            rationale="The {b} lost {things} are taken away from the {a} that {name} picked.",
        ),
        Story(
            opening="{name} found {a} {things} near the {place}.",
            turn="{friend} found {b} {things} there.",
            question="How many more {things} did {name} find than {friend}?",
            rationale="The {things} of {friend} are compared with those that {name} found.",
        ),
        Story(
            opening="{name} wanted {a} {things} in all for the {place}.",
            turn="So far {she} had only {b} {things}.",
            question="How many more {things} did {name} still need?",
            rationale="{name} already had {b} of the {a} {things}, so only the rest is missing.",
        ),
        Story(
            opening="There were {a} {things} on a table in the {place}.",
            turn="{name} took {b} {things} away with {friend}.",
            question="How many {things} were on the table then?",
            rationale="{name} took {b} {things} off the table, so the pile of {a} shrank.",
        ),
    ),
    "multiplication": (
        Story(
            opening="{name} had {b} boxes in the {place}.",
            turn="There were {a} {things} in each box.",
            question="How many {things} did {name} have in all?",
            rationale="Each of the {b} boxes holds {a} {things}, so the same amount is repeated.",
        ),
        Story(
            opening="{name} went to the {place} on {b} days.",
            turn="{She} picked {a} {things} on each day.",
            question="How many {things} did {she} pick in total?",
            rationale="{name} picked the same {a} {things} again on each of the {b} days.",
        ),
        Story(
            opening="There were {b} rows of {things} on a table in the {place}.",
            turn="{name} counted {a} {things} in each row.",
            question="How many {things} were there altogether?",
            rationale="Every one of the {b} rows has {a} {things}, so the row is repeated.",
        ),
        Story(
            opening="{name} met {b} friends at the {place}.",
            turn="{She} gave {a} {things} to each friend.",
            question="How many {things} did {name} give away together?",
            rationale="Each of the {b} friends got {a} {things}, so one gift is repeated.",
        ),
        Story(
            opening="{name} found {a} {things} near the {place}.",
            turn="{friend} found {b} times as many {things}.",
            question="How many {things} did {friend} find?",
            rationale="{friend} found as many {things} as {name} did, but {b} times over.",
        ),
    ),
    "division": (
        Story(
            opening="{name} had {a} {things} in the {place}.",
            turn="{She} shared all {things} equally among {b} friends.",
            question="How many {things} did each friend get?",
            rationale="The {a} {things} are shared equally, so each of {b} friends gets one part.",
        ),
        Story(
            opening="{name} brought {a} {things} to the {place}.",
            turn="{She} packed them into boxes with {b} {things} in each box.",
            question="How many boxes did {name} need?",
            rationale="The {a} {things} are split into groups of {b}, and each group fills a box.",
        ),
        Story(
            opening="{name} picked {a} {things} near the {place} in {b} days.",
            turn="{She} picked the same number on each day.",
            question="How many {things} did {she} pick on each day?",
            rationale="The {a} {things} are spread evenly over {b} days to find one day's part.",
        ),
        Story(
            opening="There were {a} {things} on a table in the {place}.",
            turn="{name} put them in {b} rows of the same length.",
            question="How many {things} were in each row?",
            rationale="{name} split the {a} {things} evenly, so each of {b} rows gets a part.",
        ),
        Story(
            opening="{name} found {a} {things} near the {place}.",
            turn="That was {b} times as many {things} as {friend} found.",
            question="How many {things} did {friend} find?",
            rationale="{name} found {b} times as many {things}, so {friend} has one part.",
        ),
    ),
}

ASIDES: dict[Operation, tuple[str, ...]] = {
    "addition": (
        "{who} had {a} {things} and found {b} more, and counted them all together.",
        "{who} brought {a} {things}, then {b} more {things}, in all a large heap.",
        "{who} put {a} {things} beside {b} more {things} and was happy in total.",
    ),
    "subtraction": (
        "{who} had {a} {things}, gave {b} away and still had some left.",
        "{who} lost {b} of {a} {things} and wanted to know what was left.",
        "{who} took {b} of {a} {things} away and did still need more.",
    ),
    "multiplication": (
        "{who} had {b} boxes with {a} {things} in each box.",
        "{who} counted {b} rows with {a} {things} in each row, and altogether there were many.",
        "{who} gave {a} {things} to each of {b} friends on the same day.",
    ),
    "division": (
        "{who} shared {a} {things} equally among {b} friends, the same number for each friend.",
        "{who} split {a} {things} into {b} boxes, so each box got the same.",
        "{who} packed {a} {things} in {b} rows of the same length.",
    ),
}
