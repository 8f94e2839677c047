"""Who may come in: requests for this machine by its own names, and, where a token is set, those that bring it."""

from __future__ import annotations

import functools
import hmac
import ipaddress
import secrets
import time
from urllib.parse import parse_qs

from dojang.errors import ServeError
from dojang.serve.refusals import refusal

Headers = list[tuple[bytes, bytes]]

#: what says nothing of the network, and what monitors without a token ask
OPEN = ("/healthz", "/readyz", "/")
_OPEN_BELOW = "/static/"
#: letters of a token
SHORTEST = 16
#: what a ticket opens: a frame of the page cannot bring a token
FRAMED = "/page/run"
#: seconds that a ticket is good for, and how many there are at most; the oldest go
TICKET_SECONDS = 30.0
TICKETS = 32


@functools.lru_cache(256)
def is_local(host: str) -> bool:
    """Whether an address can be reached from this machine only.

    >>> [is_local(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "192.168.0.7")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Doors:
    """Looks at the headers of every request.

    Args:
        local: Whether the service listens to this machine only; then a page of another site that gives its own name
            our address (DNS rebinding) is sent away by the name it asks for.
        token: That requests must bring; empty for none.
    """

    def __init__(self, *, local: bool, token: str = "") -> None:
        self.local, self._token = local, b"Bearer " + token.encode() if token else b""
        self._tickets: dict[str, float] = {}

    def ticket(self) -> str:
        """A word that opens the report once, and soon."""
        now = time.monotonic()
        good = [(word, until) for word, until in self._tickets.items() if until > now]
        self._tickets = dict(good[-TICKETS + 1 :])
        made = secrets.token_urlsafe(24)
        self._tickets[made] = now + TICKET_SECONDS
        return made

    def _takes(self, query: bytes) -> bool:
        """Whether a query brings a ticket, which is then used."""
        given = parse_qs(query.decode("latin-1")).get("ticket", [""])[0]
        return self._tickets.pop(given, 0.0) > time.monotonic()

    def check(self, path: str, headers: Headers, query: bytes = b"") -> None:
        """Refuse a stranger.

        Args:
            query: Behind the question mark, where a ticket may be.

        Raises:
            ServeError: S614 for another host's name, S613 without the token.
        """
        given = dict(headers)
        # a browser always says which host it asks; what says none, or HTTP/1.0, is none
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if self.local and not all(is_local(_name(host)) for host in hosts):
            own = "this service answers to this machine's own names only."
            raise refusal("S614", 421, own, fix="http://127.0.0.1, and the port of the service.")
        asked = self._token and path not in OPEN and not path.startswith(_OPEN_BELOW)
        if asked and not hmac.compare_digest(given.get(b"authorization", b""), self._token):
            if path == FRAMED and self._takes(query):
                return
            raise no_token()


def no_token() -> ServeError:
    """S613, as a client meets it."""
    return refusal("S613", 401, "the token is missing or wrong.", fix="curl -H 'Authorization: Bearer TOKEN'")


def _name(host: str) -> str:
    """The name in a Host header, without its port.

    >>> _name("127.0.0.1:8000"), _name("[::1]:8000"), _name("localhost")
    ('127.0.0.1', '::1', 'localhost')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
