"""The guard: who may ask, how much they may send, how long they may take.

A page of another site must not read what the explorer shows: it asks under another `Origin`, or
under a name that was made to point here (DNS rebinding), which then stands in `Host`. Beyond this
machine a token is asked for, too.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from secrets import compare_digest
from typing import Any
from urllib.parse import parse_qs

from uvicorn.protocols.http.h11_impl import H11Protocol

from .requests import LARGEST_BODY

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_SECONDS, HEAD_SECONDS = 20.0, 10.0
"""How long a body, and the head of a request, may take to come."""
STALLED_SECONDS = 30.0
"""How long a reader may take nothing of an answer that waits for it."""
LONGEST_ADDRESS = 4096
"""Bytes of a path with its query."""
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class Refusal(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class Guard:
    """An ASGI application around another that lets through only what may come.

    Parameters
    ----------
    app
        The application.
    host, port
        Where it listens.
    token
        What has to be known to be let in; None where it listens on this machine alone.
    """

    app: App
    host: str
    port: int
    token: str | None = None
    names: frozenset[str] = field(init=False)
    cookie: str = field(init=False)

    def __post_init__(self) -> None:
        self.names = served_names(self.host)
        self.cookie = f"latente_explorer_{self.port}"  # browsers keep one jar for all ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        sender = Sender(send, scope["path"].startswith("/api/"))
        try:
            self.check(scope)
            if self.token is not None and await self._let_in(scope, sender):
                return
            body = await self._body(scope, receive)
        except Refusal as refusal:
            await answer(sender, refusal.status, {"error": refusal.message})
            return
        await self.app(scope, Replay(body, receive), sender)

    def check(self, scope: Scope) -> None:
        """Raise `Refusal` where a request comes from elsewhere, or asks for too much."""
        headers = scope["headers"]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not self.is_served(hosts[0].decode("latin-1")):
            raise Refusal(421, "this server answers under the address that it printed only")
        ours = (b"http://" + hosts[0].lower(), b"https://" + hosts[0].lower())
        for name, value in headers:
            if name == b"origin" and value.lower() not in ours:
                raise Refusal(403, "pages of other sites may not ask here")
            elsewhere = name == b"sec-fetch-site" and value in (b"cross-site", b"same-site")
            if elsewhere and scope["path"] != "/":
                raise Refusal(403, "pages of other sites may not ask here")
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_ADDRESS:
            raise Refusal(414, f"an address has at most {LONGEST_ADDRESS} bytes")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise Refusal(405, "only GET, HEAD and POST are answered")

    def is_served(self, host: str) -> bool:
        """Whether a host is a name of this server; at any port, since a tunnel has its own."""
        name, _, port = host.lower().rpartition(":")
        if not name or port.rpartition("]")[1]:
            name, port = host.lower(), "80"
        if not (port.isascii() and port.isdigit()):
            return False
        if name in self.names:
            return True
        return self.token is not None and is_address(name.strip("[]"))

    async def _let_in(self, scope: Scope, send: Send) -> bool:
        """Check the token; whether the request is answered by that alone."""
        assert self.token is not None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and given:
            if not compare_digest(given.encode(), self.token.encode()):
                raise Refusal(401, "the token is not the one that was printed with the address")
            # Lax: a link in a page of another site, such as a mail, opens this one, too.
            cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Lax"
            headers = [(b"location", b"/"), (b"set-cookie", cookie.encode())]
            await answer(send, 303, {}, headers)
            return True
        if not compare_digest(cookie_of(scope, self.cookie).encode(), self.token.encode()):
            raise Refusal(401, "open the address that was printed, with its token")
        return False

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body, read within its bounds."""
        for name, value in scope["headers"]:
            if name == b"content-length" and (
                not value.isdigit() or len(value) > 15 or int(value) > LARGEST_BODY
            ):
                raise Refusal(413, f"a request has at most {LARGEST_BODY:,} bytes")
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(400, "the request was cut short")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > LARGEST_BODY:
                        raise Refusal(413, f"a request has at most {LARGEST_BODY:,} bytes")
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise Refusal(408, "the request took too long to come") from None


class Replay:
    """The way in of an application whose request was read before.

    Parameters
    ----------
    body
        What was read.
    receive
        What comes after it: that the other side has gone.
    """

    def __init__(self, body: bytes, receive: Receive) -> None:
        self.body: bytes | None = body
        self.receive = receive

    async def __call__(self) -> Message:
        """Return the body once, then what comes."""
        if self.body is not None:
            body, self.body = self.body, None
            return {"type": "http.request", "body": body, "more_body": False}
        return await self.receive()


class Sender:
    """The way out, with the headers that every answer has.

    Parameters
    ----------
    send
        Where to.
    private
        Whether the answer may not be kept.
    """

    def __init__(self, send: Send, private: bool) -> None:
        self.send, self.private = send, private

    async def __call__(self, message: Message) -> None:
        """Send a message on."""
        if message["type"] == "http.response.start":
            keeping = b"no-store" if self.private else b"no-cache"
            headers = [*message.get("headers", []), *HEADERS, (b"cache-control", keeping)]
            message = {**message, "headers": headers}
        await self.send(message)


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that hangs up where a request does not come, or its answer is not read, in time."""

    head_seconds, stalled_seconds = HEAD_SECONDS, STALLED_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take some bytes; what is not yet a whole head has to become one in time."""
        idle = self.timeout_keep_alive_task is not None
        super().data_received(data)
        if idle and not self.is_busy():
            self._wait()

    def pause_writing(self) -> None:
        """Wait for a reader that is slower than what it asked for."""
        super().pause_writing()
        self._wait_for_reader()

    def is_busy(self) -> bool:
        """Whether a request is being read or answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        cycle = self.cycle
        self.loop.call_later(self.head_seconds, lambda: self._give_up(cycle))

    def _give_up(self, cycle: Any) -> None:
        if self.cycle is cycle and not self.is_busy() and not self.transport.is_closing():
            self.transport.close()

    def _wait_for_reader(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self.loop.call_later(self.stalled_seconds, lambda: self._give_up_reader(unread))

    def _give_up_reader(self, before: int) -> None:
        unread = self.transport.get_write_buffer_size()
        if unread >= before > 0:
            self.transport.abort()
        elif unread:
            self._wait_for_reader()


def served_names(host: str) -> frozenset[str]:
    """Return the names under which a server that listens at a host is asked for."""
    names = {host.lower(), "localhost", "127.0.0.1", "[::1]"}
    if not is_loopback(host):
        names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    return frozenset(f"[{name}]" if ":" in name and name[0] != "[" else name for name in names)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_address(name: str) -> bool:
    """Whether a name is a number, which nobody can point elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def cookie_of(scope: Scope, name: str) -> str:
    """Return the value of a request's cookie, or nothing; others may have any form."""
    for header, value in scope["headers"]:
        if header == b"cookie":
            for part in value.decode("latin-1").split(";"):
                key, _, found = part.partition("=")
                if key.strip() == name:
                    return str(found.strip())
    return ""


async def answer(
    send: Send, status: int, content: Any, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Send an answer of JSON; one that refuses ends the connection, as its body may be unread."""
    body = json.dumps(content).encode()
    sent = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *([(b"connection", b"close")] if status >= 400 else []),
        *(headers or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})
