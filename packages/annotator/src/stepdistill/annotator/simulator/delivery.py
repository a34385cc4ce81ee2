"""Putting a reply on the socket, whole or in the ways in which sockets fail."""

import asyncio

from aiohttp import web

from stepdistill.annotator.simulator.faults import Fault
from stepdistill.annotator.simulator.reply import SimulatedReply

_GONE_CHECK_S = 0.05
_DRIP_PIECES = 8


async def deliver(
    request: web.BaseRequest, reply: SimulatedReply, drip_s: float
) -> web.StreamResponse:
    """Send the reply; a DRIP takes about drip_s seconds."""
    match reply.outcome.fault:
        case Fault.DROPPED | Fault.NEVER | Fault.LOST:
            return _hang_up(request)
        case Fault.TORN:
            return await _torn(request, reply)
        case Fault.DRIP:
            return await _drip(request, reply, drip_s)
        case _:
            return web.Response(
                status=reply.outcome.status,
                body=reply.body,
                headers=reply.headers,
                content_type=reply.content_type,
            )


async def wait_until_gone(request: web.BaseRequest, closing: asyncio.Event) -> None:
    """Say nothing until the client hangs up or the simulator closes."""
    while not closing.is_set() and not _is_gone(request):
        try:
            await asyncio.wait_for(closing.wait(), _GONE_CHECK_S)
        except TimeoutError:
            continue


def _is_gone(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()


def _hang_up(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # never sent: the socket is closed


async def _torn(request: web.BaseRequest, reply: SimulatedReply) -> web.StreamResponse:
    response = await _begin(request, reply)
    await response.write(reply.body[: len(reply.body) // 2])
    if request.transport is not None:
        request.transport.close()  # after what was written; the promised rest never comes
    return response


async def _drip(
    request: web.BaseRequest, reply: SimulatedReply, drip_s: float
) -> web.StreamResponse:
    response = await _begin(request, reply)
    size = max(1, -(-len(reply.body) // _DRIP_PIECES))
    for start in range(0, len(reply.body), size):
        await asyncio.sleep(drip_s / _DRIP_PIECES)
        await response.write(reply.body[start : start + size])
    return response


async def _begin(request: web.BaseRequest, reply: SimulatedReply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.outcome.status, headers=reply.headers)
    response.content_type = reply.content_type
    response.content_length = len(reply.body)
    await response.prepare(request)
    return response
