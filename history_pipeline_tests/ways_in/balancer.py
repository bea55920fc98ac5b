"""Two nodes behind nginx, which keeps a client with its node by a cookie."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from history_pipeline_tests.end_to_end.running import Span, simulator_process

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

BY_SESSION = """
  map $cookie_JSESSIONID $target { "~[.]node1$" node1; "~[.]node2$" node2; default any; }
"""
"""By the node's name in the server's own cookie."""

BY_ROUTE = """
  split_clients $request_id $drawn { 50% node1; * node2; }
  map $cookie_route $target { node1 node1; node2 node2; default $drawn; }
  add_header Set-Cookie "route=$target; Path=/" always;
"""
"""By a cookie of the balancer's, which goes on naming a node that is gone."""

_CONFIGURATION = """
daemon off;
master_process off;
pid {root}/pid;
error_log {root}/error.log;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  upstream any {{ server {one}; server {two}; }}
  upstream node1 {{ server {one} max_fails=1 fail_timeout=600s; server {two} backup; }}
  upstream node2 {{ server {two} max_fails=1 fail_timeout=600s; server {one} backup; }}
  {sticky}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://$target;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Node:
    url: str
    pid: int

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/simulator/stats", timeout=60) as reply:
            return dict(json.load(reply))

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Balanced:
    """The balancer's URL, and the nodes behind it."""

    url: str
    nodes: tuple[Node, Node]


@contextmanager
def balanced(span: Span, sticky: str, root: Path, *flags: str) -> Iterator[Balanced]:
    with ExitStack() as stack:
        ready = [
            stack.enter_context(simulator_process(span, *flags, "--first-node", str(number)))
            for number in (1, 2)
        ]
        one, two = (Node(each["url"], each["pid"]) for each in ready)
        url = stack.enter_context(_nginx(root, sticky, one, two))
        yield Balanced(url, (one, two))


@contextmanager
def _nginx(root: Path, sticky: str, one: Node, two: Node) -> Iterator[str]:
    root.mkdir()
    port = _free_port()
    configuration = root / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            root=root,
            port=port,
            sticky=sticky,
            one=urlsplit(one.url).netloc,
            two=urlsplit(two.url).netloc,
        )
    )
    assert NGINX is not None
    with subprocess.Popen([NGINX, "-c", configuration, "-p", root]) as process:
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, "nginx has ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.02)
        else:
            return
