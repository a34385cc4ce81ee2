"""The way to a teacher, as the environment has it: through which proxy, and whom TLS trusts."""

import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.common.errors import ConfigError

# What programs name further certificates with; SSL_CERT_FILE is OpenSSL's own.
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def route_variables() -> dict[str, str]:
    """What the environment says of the way, for another process that is to go it."""
    names = {*_BUNDLES, "SSL_CERT_DIR", *_PROXIES, *(name.upper() for name in _PROXIES)}
    return {name: os.environ[name] for name in sorted(names) if name in os.environ}


def tls_context() -> ssl.SSLContext:
    """Checks certificate and host name against what this machine trusts, or SSL_CERT_FILE, and
    against REQUESTS_CA_BUNDLE. Raises ConfigError: such a file cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    # A certificate that is named is trusted, whether or not it is at the root of a chain.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_default_certs()
    for name in _BUNDLES:
        if path := os.environ.get(name):
            _trust(context, name, Path(path))
    return context


def _trust(context: ssl.SSLContext, name: str, path: Path) -> None:
    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise ConfigError(f"{name}={path}: no certificate in it (PEM is expected)") from None
    except OSError as error:
        raise ConfigError(f"{name}={path}: cannot be read ({error.strerror})") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """What stands between this machine and the teacher."""

    variable: str  # of the environment, that names it
    url: str  # without user and password: as it may be shown
    address: str = field(repr=False)  # with them


def proxy_of(teacher: TeacherSpec) -> Proxy | None:
    """The proxy that the environment names for a teacher. Raises ConfigError: there is no such
    proxy, or none that can be used."""
    scheme = urlsplit(teacher.base_url).scheme
    address = None if _is_direct(teacher) else getproxies().get(scheme)
    if not address:
        return None
    variable = f"{scheme}_proxy" if f"{scheme}_proxy" in os.environ else f"{scheme}_proxy".upper()
    try:
        url = urlsplit(address if "://" in address else f"http://{address}")
        host, port = url.hostname, url.port or 80
    except ValueError:
        host = port = url = None
    if url is None or url.scheme != "http" or not host:
        # Not shown: it may hold a password.
        raise ConfigError(
            f"{variable}: not a proxy that can be used: {variable}=http://HOST:PORT is one"
        )
    place = f"{f'[{host}]' if ':' in host else host}:{port}"
    who, mark, _ = url.netloc.rpartition("@")
    return Proxy(variable=variable, url=f"http://{place}", address=f"http://{who}{mark}{place}")


def route_remarks(teacher: TeacherSpec) -> Iterator[str]:
    """What of the environment is passed over, where a person may count on it."""
    proxies = getproxies()
    unused = "all" in proxies and urlsplit(teacher.base_url).scheme not in proxies
    if unused and not _is_direct(teacher):
        yield (
            "ALL_PROXY is not used (SOCKS is not spoken): if the teacher can only be reached "
            "through a proxy, set HTTPS_PROXY=http://HOST:PORT"
        )


def _is_direct(teacher: TeacherSpec) -> bool:
    """Whether it is on this machine, or NO_PROXY says that no proxy is for it."""
    host = urlsplit(teacher.url).netloc
    return not teacher.may_use_proxy or bool(proxy_bypass(host))
