"""What names a teacher: models, efforts, tiers and addresses, each behind an @."""

import pytest

from stepdistill.common.errors import ConfigError
from stepdistill.common.named_teacher import NamedTeacher, named_teachers


@pytest.mark.parametrize(
    ("word", "means"),
    [
        ("gpt-x", NamedTeacher(teacher="gpt-x")),
        ("a:b@effort=low@flex", NamedTeacher(teacher="a:b", effort="low", service="flex")),
        ("m@tier=priority", NamedTeacher(teacher="m", service="priority")),
        ("m@batch@effort=high", NamedTeacher(teacher="m", effort="high", service="batch")),
        (
            "vertex:claude@20250929@flex",
            NamedTeacher(teacher="vertex:claude@20250929", service="flex"),
        ),
        (
            "m@http://u:p@host:1/v1@https://b/v1@effort=low",
            NamedTeacher(
                teacher="m", effort="low", addresses=("http://u:p@host:1/v1", "https://b/v1")
            ),
        ),
    ],
)
def test_parts_stand_behind_an_at_in_any_order(word: str, means: NamedTeacher) -> None:
    assert named_teachers([word, word]) == (means,)


def test_a_name_shows_no_address() -> None:
    (named,) = named_teachers(["m@http://u:secret@host/v1@effort=low@flex"])
    assert named.name == "m@effort=low@flex"


@pytest.mark.parametrize(
    "word",
    [
        "@flex",
        "m@flexx",
        "m@effort=",
        "m@tier=fast",
        "m@flex@batch",
        "m@effort=a@effort=b",
        "m@x=1",
    ],
)
def test_what_is_mistyped_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="--teachers"):
        named_teachers([word])


def test_a_refusal_shows_no_password() -> None:
    with pytest.raises(ConfigError) as refused:
        named_teachers(["m@http://u:secret@host/v1@x=1"])
    assert "secret" not in str(refused.value)
