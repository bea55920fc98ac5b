"""What stands between a client and a server: TLS in front of one, and a forward proxy. Both listen
on this machine, and run in threads of the test."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "proxy-authorization", "transfer-encoding"}


@dataclass
class Front:
    """TLS in front of a server. `shown` are the names in the certificates that clients showed."""

    url: str = ""
    shown: list[str] = field(default_factory=list)


@contextmanager
def tls_front(behind: str, context: ssl.SSLContext) -> Iterator[Front]:
    """https://127.0.0.1:PORT, whose bytes go to the server at `behind`."""
    front = Front()
    address = (urlsplit(behind).hostname, urlsplit(behind).port)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(self.request, True, do_handshake_on_connect=False) as client,
            ):
                if not _greeted(client):
                    return
                shown = client.getpeercert()
                name = dict(pair for (pair,) in shown["subject"])["commonName"] if shown else ""
                front.shown.append(name)
                with socket.create_connection(address, timeout=60) as server:
                    _relay(client, server)

    with _listening(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        front.url = f"https://127.0.0.1:{port}"
        yield front


def _greeted(client: ssl.SSLSocket) -> bool:
    """Whether the handshake came about; where it did not, the client is told by an alert."""
    try:
        client.do_handshake()
    except ssl.SSLError:
        # closed at once, with a request unread, it would be a reset that overtakes the alert
        client.shutdown(socket.SHUT_WR)
        client.settimeout(30)
        while client.recv(65536):
            pass
        return False
    return True


def _relay(client: ssl.SSLSocket, server: socket.socket) -> None:
    """In one thread: OpenSSL does not let two read and write one connection at once."""
    while True:
        ready = [client] if client.pending() else select.select([client, server], [], [])[0]
        for each in ready:
            piece = each.recv(65536)
            if not piece:
                return
            (server if each is client else client).sendall(piece)


@contextmanager
def _listening(server: socketserver.ThreadingTCPServer) -> Iterator[int]:
    """Serves for as long as the block runs, and says at which port."""
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class ForwardProxy:
    """`asked` are the first lines of what it was asked, `told` the credentials that came along,
    and `seen` are the names of all headers that were meant for it alone."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    told: list[str | None] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


@contextmanager
def forward_proxy(credentials: str | None = None, refusal: int = 407) -> Iterator[ForwardProxy]:
    """A proxy for plain requests and for tunnels. With `credentials`, a header's value, it lets
    nobody else through and answers `refusal`."""
    proxy = ForwardProxy()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _let_through(self) -> bool:
            proxy.asked.append(self.requestline)
            proxy.told.append(self.headers.get("Proxy-Authorization"))
            if credentials is None or proxy.told[-1] == credentials:
                return True
            self.send_response(refusal)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return False

        def do_CONNECT(self) -> None:
            self.close_connection = True
            proxy.seen.update(name.title() for name in self.headers)
            if not self._let_through():
                return
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=60) as server:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=_copy, args=(server, self.connection), daemon=True)
                back.start()
                _copy(self.connection, server)
                back.join(60)

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not self._let_through():
                return
            target = urlsplit(self.path)
            path = f"{target.path}?{target.query}" if target.query else target.path
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            server = http.client.HTTPConnection(target.netloc, timeout=60)
            server.request(self.command, path, body, headers)
            reply = server.getresponse()
            content = reply.read()
            self.send_response(reply.status)
            for name, value in reply.getheaders():
                if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            server.close()

        do_GET = do_POST = _forward

        def log_message(self, *_: object) -> None:
            pass

    with _listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        proxy.url = f"http://127.0.0.1:{port}"
        yield proxy


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
