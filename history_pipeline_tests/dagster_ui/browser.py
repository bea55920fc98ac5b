"""Chromium without a window, over its DevTools protocol: what somebody would read in a page.

A page is done when it shows what it is waited for, not after some time: a cold machine needs
longer for the same page.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import aiohttp

from history_pipeline_tests.dagster_ui.webserver import waited_for

START_DEADLINE = 60.0
PAGE_DEADLINE = 90.0
_READ = {
    "expression": """({
        lines: (document.body?.innerText ?? '').split(/[\\n\\t]/).map(l => l.trim()).filter(l => l),
        drawn: [...document.querySelectorAll('svg foreignObject')].map(box => box.textContent),
    })""",
    "returnByValue": True,
}


@contextmanager
def chromium(executable: str, profile: Path) -> Iterator[str]:
    """The address of its DevTools, for as long as the block runs."""
    command = [
        executable,
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--remote-debugging-port=0", f"--user-data-dir={profile}", "--window-size=1800,1400"),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            port = waited_for(lambda: _port(process, profile), START_DEADLINE)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _port(process: subprocess.Popen[bytes], profile: Path) -> str | None:
    assert process.poll() is None, f"Chromium ended with status {process.returncode}"
    told = profile / "DevToolsActivePort"
    lines = told.read_text().splitlines() if told.exists() else []
    return lines[0] if len(lines) > 1 else None


@dataclass(frozen=True, slots=True)
class Page:
    """What somebody reads there. `drawn` are the texts of the boxes in a graph."""

    lines: list[str]
    drawn: list[str]

    def beside(self, label: str) -> str:
        """What stands in the next cell, or line, of a label. Names that may be cut short are in
        a page twice."""
        lines = [line for line, _ in groupby(self.lines)]
        return lines[lines.index(label) + 1]


async def read(devtools: str, url: str, is_done: Callable[[Page], bool]) -> Page:
    """The page, as soon as it is done."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PAGE_DEADLINE)) as session,
        session.put(f"{devtools}/json/new?{quote(url, safe='')}") as reply,
    ):
        tab = await reply.json()
        async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            page = await _done(socket, url, is_done)
        async with session.get(f"{devtools}/json/close/{tab['id']}"):
            return page


async def _done(
    socket: aiohttp.ClientWebSocketResponse, url: str, is_done: Callable[[Page], bool]
) -> Page:
    end = time.monotonic() + PAGE_DEADLINE
    page = Page([], [])
    while not is_done(page):
        if time.monotonic() > end:
            told = "\n".join(page.lines)
            raise AssertionError(
                f"{url} is not done after {PAGE_DEADLINE:.0f} s; it shows:\n{told}"
            )
        await asyncio.sleep(0.2)
        await socket.send_json({"id": 1, "method": "Runtime.evaluate", "params": _READ})
        answer = await socket.receive_json(timeout=PAGE_DEADLINE)
        # between two documents there is nothing to evaluate in
        page = Page(**answer.get("result", {}).get("result", {}).get("value") or asdict(page))
    return page


def shows(*texts: str) -> Callable[[Page], bool]:
    """Done when all of these are among its lines."""
    return lambda page: set(texts) <= set(page.lines)
