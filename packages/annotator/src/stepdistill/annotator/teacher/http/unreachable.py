"""What it means where a teacher cannot be reached, in words that say what helps.

Some of it is certain: a certificate that is not trusted, a name that is not known, TLS where none
is spoken. Before a teacher has answered at all that ends a run at its first request; later it is an
outage like any other.
"""

import errno
import re
import socket
import ssl

import aiohttp

from stepdistill.annotator.errors import ConnectionLost, TeacherError, Unreachable
from stepdistill.annotator.teacher.http.route import Proxy

# As X509_V_ERR_... of OpenSSL has them.
_NOT_YET, _EXPIRED, _SELF_SIGNED, _OTHER_NAME, _OTHER_IP = 9, 10, 18, 62, 64
# What a client hears when its first TLS bytes are answered in another language.
_NO_TLS = {
    "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL",
    "HTTP_REQUEST",
}  # fmt: skip
# How a handshake ends, beside alerts, where both sides have nothing in common.
_REFUSED = {"UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "TLSV1_UNRECOGNIZED_NAME"}
# nginx: The plain HTTP request was sent to HTTPS port; Go: Client sent an HTTP request to an HTTPS
# server; Apache: You're speaking plain HTTP to an SSL-enabled server port
_WANTS_TLS = re.compile(rb"plain http request|http request to an https|speaking plain http", re.I)
_ERRNO = re.compile(r"\[Errno (\d+)\]")


def connect_error(error: OSError, where: str, *, is_first: bool) -> TeacherError:
    """The error that no connection to `where` (host:port) came about. is_first: nothing has come
    from there so far."""
    certain = _certain(error, where)
    if certain is not None:
        return Unreachable(certain) if is_first else ConnectionLost(certain).paid(maybe=False)
    return ConnectionLost(_in_words(error, where)).paid(maybe=False)


def aiohttp_error(
    error: aiohttp.ClientError | OSError, where: str, proxy: Proxy | None, *, is_first: bool
) -> TeacherError:
    """The same of an error of aiohttp; where it was connected, the connection was lost."""
    if isinstance(error, aiohttp.ClientHttpProxyError) and proxy is not None:
        return _proxy_error(error, where, proxy, is_first=is_first)
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    if isinstance(error, aiohttp.ClientProxyConnectionError) and proxy and cause:
        why = _in_words(cause, f"{proxy.url} ({proxy.variable})")
        return ConnectionLost(f"the proxy does not answer: {why}").paid(maybe=False)
    if isinstance(cause, OSError):
        return connect_error(cause, where, is_first=is_first)
    if isinstance(error, ValueError):  # InvalidURL and its kin: no other try would fare better
        return Unreachable(f"the address of {where} is not usable: check --base-url")
    return ConnectionLost(f"{type(error).__name__}: {error}")


def _proxy_error(
    error: aiohttp.ClientHttpProxyError, where: str, proxy: Proxy, *, is_first: bool
) -> TeacherError:
    name, status = f"the proxy {proxy.url}", f"{error.status} {error.message}".strip()
    if error.status == 407:
        name, variable = proxy.url.removeprefix("http://"), proxy.variable
        remedy = f"{variable}=http://USER:PASSWORD@{name}"
        words = f"the proxy {proxy.url} wants a password ({status}): {remedy}"
    elif error.status < 500:
        words = (
            f"{name} lets nobody through to {where} ({status}): ask who runs it, or set NO_PROXY "
            "where there is another way"
        )
    else:
        return ConnectionLost(f"{name} does not reach {where} ({status})").paid(maybe=False)
    return Unreachable(words) if is_first else ConnectionLost(words).paid(maybe=False)


def wants_tls(status: int, body: bytes) -> bool:
    """Whether a reply says that it came from a TLS port to a request without TLS."""
    return status == 400 and _WANTS_TLS.search(body) is not None


def no_tls_spoken(where: str) -> Unreachable:
    """https:// where http:// is meant."""
    return Unreachable(f"{where} does not speak TLS: is it --base-url http://{where}/... there?")


def tls_spoken(where: str) -> Unreachable:
    """http:// where https:// is meant."""
    return Unreachable(f"{where} speaks TLS alone: is it --base-url https://{where}/... there?")


def _certain(error: OSError, where: str) -> str | None:
    """What no other try would change, so far as one can tell."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_words(error, where)
    if isinstance(error, socket.gaierror) and error.errno in (socket.EAI_NONAME, socket.EAI_FAIL):
        return f"the name of {where} is not known ({error.strerror}): check --base-url"
    if isinstance(error, ConnectionAbortedError) and "handshake" in str(error):
        return f"{no_tls_spoken(where)} (it says nothing to a TLS handshake)"
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):
        return None
    reason = str(error.reason or "").upper()
    if reason in _NO_TLS:
        return str(no_tls_spoken(where))
    if ("ALERT" not in reason and reason not in _REFUSED) or "INTERNAL" in reason:
        return None
    why = reason.replace("_", " ").lower()
    if "CERTIFICATE" in reason:  # TLSV13_ALERT_CERTIFICATE_REQUIRED
        return (
            f"{where} wants a certificate of its client ({why}), which cannot be given here: reach "
            "it through a proxy of yours that has one, such as stunnel"
        )
    return f"{where} refuses the TLS handshake ({why}): check --base-url"


def _certificate_words(error: ssl.SSLCertVerificationError, where: str) -> str:
    code, message = error.verify_code, error.verify_message
    if code in (_OTHER_NAME, _OTHER_IP):
        return f"the certificate of {where} is for another name ({message}): check --base-url"
    if code in (_EXPIRED, _NOT_YET):
        when = "has expired" if code == _EXPIRED else "is not valid yet"
        return (
            f"the certificate of {where} {when}: it has to be renewed there, if this machine's "
            "clock is right"
        )
    why = "it is self-signed" if code == _SELF_SIGNED else message
    return (
        f"the certificate of {where} is not trusted ({why}): name a file with it, or with its "
        "authority's, as SSL_CERT_FILE=FILE.pem"
    )


def _in_words(error: OSError, where: str) -> str:
    """What failed, for a person."""
    # Where a name has several addresses, the errors of all are one text.
    found = _ERRNO.search(str(error))
    number = error.errno or (int(found[1]) if found else None)
    if isinstance(error, socket.gaierror):
        return f"the name of {where} cannot be looked up ({error.strerror})"
    if isinstance(error, ConnectionRefusedError) or number == errno.ECONNREFUSED:
        return f"nobody listens at {where} (connection refused)"
    if isinstance(error, ConnectionResetError) and not str(error):
        return f"{where} dropped the connection in the TLS handshake"
    return f"no connection to {where} ({type(error).__name__}: {error})"
