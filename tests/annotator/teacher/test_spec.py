"""The limit of open files, raised as far as it goes, and the secrets that a teacher may echo."""

import subprocess
import sys
from base64 import b64encode
from dataclasses import replace

import pytest

from stepdistill.annotator.errors import NotAuthorised, TeacherError
from stepdistill.annotator.teacher.spec import TeacherSpec
from tests.annotator.teacher.asking import a_spec
from tests.annotator.teacher.raw_teacher import completion

CODE = """
import resource
from stepdistill.annotator.teacher.spec import connections_allowed
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(connections_allowed(1024), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "then_soft"),
    [(256, 4096, 1024, 1088), (256, 512, 448, 512), (4096, 4096, 1024, 4096), (64, 64, 1, 64)],
)
def test_connections_follow_the_limit_of_open_files(
    soft: int, hard: int, allowed: int, then_soft: int
):
    code = CODE.format(soft=soft, hard=hard)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(allowed), str(then_soft), str(hard)]


KEY = "sk-a/key+of=mine"
URL = "https://someone:pass%2Fword@teacher.example/v1"
BASIC = b64encode(b"someone:pass/word").decode()


@pytest.fixture
def teacher() -> TeacherSpec:
    return a_spec(URL, key=KEY)


@pytest.mark.parametrize(
    "words",
    [
        f"Incorrect API key provided: {KEY}.",
        f"you sent Bearer {KEY} and Basic {BASIC}",
        "wrong password pass/word of someone:pass/word at https://someone:pass%2Fword@x/",
        KEY.replace("/", "\\/"),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_no_echo_of_a_secret_is_shown(teacher: TeacherSpec, words: str, status: int):
    body = f'{{"error": {{"message": "{words}"}}}}'.encode()
    with pytest.raises(TeacherError) as error:
        teacher.answer(status, {}, body)

    shown = str(error.value)
    assert "[secret]" in shown
    assert not [each for each in (KEY, BASIC, "pass/word", "pass%2Fword") if each in shown]


def test_nor_in_a_redirect_an_answer_or_its_number(teacher: TeacherSpec):
    with pytest.raises(TeacherError) as error:
        teacher.answer(307, {"location": f"https://x/?key={KEY}"}, b"")
    answer = teacher.answer(200, {"x-request-id": KEY}, completion(f"you sent {KEY}"))

    assert KEY not in str(error.value)
    assert (answer.text, answer.request_id) == ("you sent [secret]", "[secret]")


def test_a_word_that_stands_for_no_key_stays_in_an_answer():
    answer = a_spec("http://x/v1", key="ollama").answer(200, {}, completion("an ollama answer"))

    assert answer.text == "an ollama answer"


@pytest.mark.parametrize(
    ("url", "key", "remedy"),
    [
        ("https://api.groq.com/v1", KEY, "check GROQ_API_KEY"),
        ("https://api.groq.com/v1", None, "set GROQ_API_KEY (environment or .env)"),
        (URL, KEY, "check user and password of --base-url"),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 401])
def test_a_refused_key_is_called_by_the_name_it_has(
    url: str, key: str | None, remedy: str, status: int
):
    teacher = replace(a_spec(url, key=key), key_name="GROQ_API_KEY")
    with pytest.raises(NotAuthorised) as error:
        teacher.answer(status, {}, b'{"error": {"message": "Invalid API key", "code": 401}}')

    assert str(error.value).endswith(f"): {remedy}")
