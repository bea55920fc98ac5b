"""A small HTTP server on this machine that lists contacts as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Page = tuple[int, str, bytes]
"""Status, content type and body."""


@dataclass
class ListServer:
    """`answer(offset, limit)` makes a page; every request is noted."""

    answer: Callable[[int, int], Page]
    url: str = ""
    asked: list[tuple[int, int]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def json_page(contacts: list[Any], status: int = 200, **fields: Any) -> Page:
    body = {"statusCode": 0, "contacts": contacts} | fields
    return status, "application/json", json.dumps(body).encode()


def listing(ids: list[str], cap: int | None = None) -> Callable[[int, int], Page]:
    """A server that pages well, `cap` rows a page at most."""

    def answer(offset: int, limit: int) -> Page:
        size = min(limit, cap or limit)
        return json_page([{"id": one, "name": one.upper()} for one in ids[offset : offset + size]])

    return answer


@contextmanager
def serving(answer: Callable[[int, int], Page]) -> Iterator[ListServer]:
    told = ListServer(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            page = int(query["offset"][0]), int(query["limit"][0])
            told.asked.append(page)
            told.headers.append(dict(self.headers.items()))
            status, kind, body = told.answer(*page)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if 300 <= status < 400:
                self.send_header("Location", "/login")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
