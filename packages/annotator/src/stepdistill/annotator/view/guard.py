"""Who may ask: this machine's browser, at this address, with the token that the command printed.

A page on loopback can be asked by every page that a browser has open, and by every user of the
machine. So a request needs the token; its Host must be this server's own (another name that leads
here is another site's); and what another site's page sends is refused.
"""

import hmac
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator

import orjson
from aiohttp import web

from stepdistill.common.errors import DistillError
from stepdistill.common.terminal import one_line

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "stepdistill",
}
_BEARER = "Bearer "


class Guard:
    """Of one server, by its port. token: made anew for each."""

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(24)
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        # Cookies know no ports: two servers on this machine need two names.
        self._cookie = f"stepdistill_view_{port}"

    @web.middleware
    async def guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The answer to a request, or that it gets none; with the headers that all have."""
        why = self._refused(request)
        response = _refusal(why, 403) if why else await _answered(request, handler)
        response.headers.update(_HEADERS)
        if not why and "token" in request.query:
            response.set_cookie(self._cookie, self.token, httponly=True, samesite="Strict")
        return response

    def _refused(self, request: web.Request) -> str | None:
        """Why a request is not answered; None where it is."""
        if request.headers.get("Host", "") not in self._hosts:
            return "this server answers at its own address alone: open the one that was printed"
        origin = request.headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in self._hosts}:
            return "another site's page may not ask here"
        is_visit = request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        site = request.headers.get("Sec-Fetch-Site", "none")
        if site not in ("none", "same-origin") and not (is_visit and request.method == "GET"):
            return "another site's page may not ask here"
        given = list(self._given(request))
        if not any(hmac.compare_digest(each.encode(), self.token.encode()) for each in given):
            return "the token is missing or another one: open the address that was printed"
        return None

    def _given(self, request: web.Request) -> Iterator[str]:
        """The tokens that a request brings: in its address, its cookie, or a header."""
        yield from request.query.getall("token", [])
        yield request.cookies.get(self._cookie, "")
        header = request.headers.get("Authorization", "")
        if header.startswith(_BEARER):
            yield header.removeprefix(_BEARER)


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error in one form: never a page, nor a traceback."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _refusal(error.reason, error.status)
    except DistillError as error:
        return _refusal(str(error), 409)
    except Exception as error:  # noqa: BLE001  # the page shows it, and goes on
        sys.stderr.write(one_line(f"annotate: {request.method} {request.path}: {error!r}") + "\n")
        return _refusal(f"the server failed: {type(error).__name__}", 500)


def _refusal(why: str, status: int) -> web.Response:
    body = orjson.dumps({"error": f"annotate view: {one_line(why)}"})
    return web.Response(body=body + b"\n", status=status, content_type="application/json")
