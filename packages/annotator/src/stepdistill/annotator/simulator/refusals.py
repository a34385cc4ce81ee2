"""The bodies of refusals, as OpenAI and the proxies before it send them."""

from stepdistill.annotator.simulator.faults import Fault
from stepdistill.annotator.simulator.wire import ErrorReply

NO_KEY = ErrorReply(
    status=401,
    message="You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'.",
    type="invalid_request_error",
)
NO_SUCH_URL = ErrorReply(status=404, message="Invalid URL.", type="invalid_request_error")

REFUSALS: dict[Fault, ErrorReply] = {
    Fault.RATE_LIMITED: ErrorReply(
        status=429,
        message="Rate limit reached for requests. Please try again later.",
        type="requests",
        code="rate_limit_exceeded",
    ),
    Fault.RATE_LIMITED_BARE: ErrorReply(
        status=429,
        message="Rate limit reached for tokens. Please try again later.",
        type="tokens",
        code="rate_limit_exceeded",
    ),
    Fault.SLOW_DOWN: ErrorReply(
        status=429,
        message="Your request rate grew too fast. Please slow down.",
        type="requests",
        code="slow_down",
    ),
    Fault.QUOTA: ErrorReply(
        status=429,
        message="You exceeded your current quota, please check your plan and billing details.",
        type="insufficient_quota",
        code="insufficient_quota",
    ),
    Fault.UNAUTHORIZED: ErrorReply(
        status=401,
        message="Incorrect API key provided.",
        type="invalid_request_error",
        code="invalid_api_key",
    ),
    Fault.BAD_REQUEST: ErrorReply(
        status=400,
        message="This request is not acceptable.",
        type="invalid_request_error",
        code="invalid_value",
        param="messages",
    ),
    Fault.CONTENT_POLICY: ErrorReply(
        status=400,
        message="Your request was rejected as a result of our safety system.",
        type="invalid_request_error",
        code="content_policy_violation",
    ),
    Fault.SERVER_ERROR: ErrorReply(
        status=500,
        message="The server had an error while processing your request. Sorry about that!",
        type="server_error",
    ),
    Fault.OVERLOADED: ErrorReply(
        status=503,
        message="The engine is currently overloaded, please try again later.",
        type="server_error",
        code="server_is_overloaded",
    ),
}

_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"

# What a proxy sends: a status and a page where JSON is hoped for.
PAGES: dict[Fault, tuple[int, bytes]] = {
    Fault.BAD_GATEWAY: (502, _PAGE.format("502 Bad Gateway").encode()),
    Fault.GATEWAY_TIMEOUT: (504, _PAGE.format("504 Gateway Time-out").encode()),
    Fault.NOT_JSON: (200, _PAGE.format("Welcome").encode()),
}


def model_gone(model: str) -> ErrorReply:
    """The answer to a request for a model that is not served (any more)."""
    return ErrorReply(
        status=404,
        message=f"The model `{model}` does not exist or you do not have access to it.",
        type="invalid_request_error",
        code="model_not_found",
    )


def over_limit(what: str, retry_after_s: float) -> ErrorReply:
    """The answer to one request too many; what is `requests` or `tokens`."""
    return ErrorReply(
        status=429,
        message=f"Rate limit reached on {what} per min. Please try again in {retry_after_s:.3f}s.",
        type=what,
        code="rate_limit_exceeded",
    )
