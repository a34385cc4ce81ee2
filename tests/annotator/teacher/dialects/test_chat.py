"""OpenAI's chat: what goes out is what the key was made of, and the limit."""

from stepdistill.annotator.plan.key import Endpoint, RequestForm
from stepdistill.annotator.teacher.dialects.chat import ChatDialect
from stepdistill.annotator.teacher.dialects.dialect import Limit
from stepdistill.annotator.teacher.dialects.registry import DIALECTS
from stepdistill.annotator.teacher.reply import ReplyContext

HERE = Endpoint(name="localhost", path="/v1/chat/completions")


def test_a_request_goes_out_as_it_is_with_its_limit():
    request = RequestForm(HERE, "any", {"temperature": 0}).request("Be brief.", "Why?")
    wire = ChatDialect().wire(request, Limit(7, "max_completion_tokens"))
    assert wire == {**request.body, "max_completion_tokens": 7}


def test_each_dialect_stands_under_its_own_name():
    assert [(name, each.name) for name, each in DIALECTS.items()] == [
        (name, name) for name in DIALECTS
    ]
    assert DIALECTS["chat"].path("/v1", "any") == HERE.path


def test_a_reply_is_read_with_what_is_known_beside_it():
    body = b'{"choices": [{"message": {"content": "No."}}]}'
    context = ReplyContext(limit=7, model="any", mode="batch", request_id="req_1")
    answer = ChatDialect().read(body, context)
    assert (answer.text, answer.limit, answer.model) == ("No.", 7, "any")
    assert (answer.mode, answer.request_id) == ("batch", "req_1")
