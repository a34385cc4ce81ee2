"""A key is the content of a request: whatever changes the answer changes it, and nothing else."""

import hashlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.plan.key import Endpoint, endpoint_of
from tests.annotator.made import ENDPOINT, a_request

OPTIONS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.text(max_size=8).filter(lambda name: name not in ("model", "messages")),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=5,
    ),
    max_size=4,
)


def key_of(endpoint: Endpoint = ENDPOINT, **changes: Any) -> bytes:
    return a_request(endpoint=endpoint, **changes).key


def turned(value: Any) -> Any:
    """The same value with every dict the other way round."""
    if isinstance(value, dict):
        pairs: list[tuple[str, Any]] = list(value.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return {name: turned(inner) for name, inner in reversed(pairs)}
    return value


@given(OPTIONS, st.text(), st.text(), st.integers(0, 9))
def test_a_key_is_the_hash_of_the_canonical_json(
    options: dict[str, Any], system: str, user: str, sample: int
):
    request = a_request(user, system=system, options=options, sample=sample)

    content = [ENDPOINT.name, ENDPOINT.path, request.body, sample]
    canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    assert request.key == hashlib.sha256(canonical).digest()


@given(OPTIONS)
def test_a_key_has_32_bytes_and_does_not_depend_on_the_order_of_options(options: dict[str, Any]):
    assert len(key_of(options=options)) == 32
    assert key_of(options=turned(options)) == key_of(options=options)


def test_a_key_stays_the_same_from_one_release_to_the_next():
    # Stores that people paid for hang on these very bytes.
    content = (
        b'["localhost","/v1/chat/completions",{"messages":[{"content":"Be kind.","role":"system"},'
        b'{"content":"one","role":"user"}],"model":"any-model","temperature":0},0]'
    )
    request = a_request(system="Be kind.", options={"temperature": 0})

    assert request.key == hashlib.sha256(content).digest()


def test_everything_that_changes_the_answer_changes_the_key():
    keys = [
        key_of(),
        key_of(model="other"),
        key_of(system="Be kind."),
        key_of(user="two"),
        key_of(system="one", user=""),
        key_of(options={"temperature": 0}),
        key_of(options={"temperature": 1}),
        key_of(sample=1),
        key_of(sample=2),
        key_of(endpoint_of("https://api.openai.com/v1")),
        key_of(endpoint_of("http://localhost/v2")),
        key_of(endpoint_of("http://teacher.example:8000/v1")),
        key_of(endpoint_of("http://teacher.example:9000/v1")),
    ]

    assert len(set(keys)) == len(keys)


@given(one=st.tuples(st.text(), st.text()), other=st.tuples(st.text(), st.text()))
def test_different_words_have_different_keys(one: tuple[str, str], other: tuple[str, str]):
    keys = [key_of(system=system, user=user) for system, user in (one, other)]

    assert (keys[0] == keys[1]) == (one == other)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "http://127.0.0.1:9999/v1/",
        "https://localhost/v1",
        "http://[::1]:81/v1",
        "http://0.0.0.0:5000/v1",
    ],
)
def test_a_teacher_on_this_machine_may_move_to_another_port(url: str):
    assert endpoint_of(url) == Endpoint(name="localhost", path="/v1/chat/completions")


def test_elsewhere_host_port_and_path_tell_teachers_apart():
    assert endpoint_of("https://API.openai.com/v1/") == Endpoint(
        name="api.openai.com", path="/v1/chat/completions"
    )
    assert endpoint_of("http://teacher.example:8000/a/b").name == "teacher.example:8000"
    assert endpoint_of("http://teacher.example:8000/a/b").path == "/a/b/chat/completions"


def test_a_user_s_password_in_the_address_is_not_part_of_the_endpoint():
    assert endpoint_of("http://me:secret@teacher.example/v1").name == "teacher.example"


def test_an_empty_system_message_is_not_sent():
    assert a_request().messages == [{"role": "user", "content": "one"}]
    both = a_request(system="Be kind.").messages
    assert [message["role"] for message in both] == ["system", "user"]


def test_the_body_holds_model_messages_and_options():
    request = a_request(options={"temperature": 0, "seed": 7})

    assert request.body == {
        "model": "any-model",
        "messages": request.messages,
        "temperature": 0,
        "seed": 7,
    }
