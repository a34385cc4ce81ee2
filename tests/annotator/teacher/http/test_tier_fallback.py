"""A tier that is full: what is asked for at once is the usual one, where that is wanted."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stepdistill.annotator.errors import TeacherError
from stepdistill.annotator.plan.key import RequestForm
from stepdistill.annotator.teacher.http.direct_transport import DirectTransport
from stepdistill.annotator.teacher.http.proxy_transport import ProxyTransport
from tests.annotator.teacher.asking import a_spec

FULL = [
    (429, {"error": {"message": "Resource unavailable", "code": "resource_unavailable"}}),
    (498, {"error": {"message": "Flex tier capacity exceeded", "code": "capacity_exceeded"}}),
    (
        400,
        {
            "error": {
                "message": "Invalid service_tier argument",
                "param": "service_tier",
                "code": "unsupported_value",
            }
        },
    ),
    (503, {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}),
]
OTHER = [
    (429, {"error": {"message": "Rate limit reached for requests", "code": "rate_limit_exceeded"}}),
    (500, {"error": {"message": "Sorry about that"}}),
]


@pytest.mark.parametrize("transport", [DirectTransport, ProxyTransport])
@pytest.mark.parametrize(("status", "error"), [*FULL, *OTHER])
@pytest.mark.parametrize("falls_back", [True, False])
async def test_a_full_tier_is_left_where_that_is_wanted(
    transport: type[DirectTransport] | type[ProxyTransport],
    status: int,
    error: dict[str, object],
    *,
    falls_back: bool,
):
    tiers: list[object] = []

    async def chat(request: web.Request) -> web.Response:
        tier = (await request.json()).get("service_tier")
        tiers.append(tier)
        if tier == "flex":
            return web.json_response(error, status=status)
        choice = {"message": {"content": "yes"}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "service_tier": tier})

    application = web.Application()
    application.router.add_post("/v1/chat/completions", chat)
    async with TestServer(application) as server:
        teacher = a_spec(str(server.make_url("/v1")), tier="flex", tier_fallback=falls_back)
        request = RequestForm(teacher.endpoint, "any", {}).request("", "Why?")
        async with transport(teacher) as opened:
            if falls_back and (status, error) in FULL:
                answer, _ = await opened.ask(request)
                assert (answer.text, answer.tier, tiers) == ("yes", None, ["flex", "default"])
                if status == 400:  # the model has no such tier: it is not asked for again
                    await opened.ask(request)
                    assert tiers == ["flex", "default", "default"]
            else:
                with pytest.raises(TeacherError):
                    await opened.ask(request)
                assert tiers == ["flex"]
