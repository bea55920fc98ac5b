"""A foreign server as a process of its own.

Knows npm, node and the control URLs of the server scripts beside it. Does not know our client.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
from filelock import FileLock

HERE = Path(__file__).parent
INSTALL_DEADLINE = 300.0
START_DEADLINE = 20.0
STOP_DEADLINE = 5.0


class PeerBroken(RuntimeError):
    """The foreign server could not be installed, started or stopped."""


def missing_tools() -> list[str]:
    return [tool for tool in ("node", "npm") if shutil.which(tool) is None]


def install() -> None:
    """The packages into `node_modules` beside `package.json`, once for each content of that.

    Raises PeerBroken with npm's own words.
    """
    modules = HERE / "node_modules"
    modules.mkdir(exist_ok=True)
    wanted = hashlib.sha256((HERE / "package.json").read_bytes()).hexdigest()
    with FileLock(modules / ".install.lock", timeout=INSTALL_DEADLINE):
        installed = modules / ".installed"
        if installed.exists() and installed.read_text(encoding="ascii") == wanted:
            return
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
        try:
            subprocess.run(
                [*command, "--ignore-scripts"],
                cwd=HERE,
                check=True,
                capture_output=True,
                text=True,
                timeout=INSTALL_DEADLINE,
            )
        except subprocess.CalledProcessError as exc:
            raise PeerBroken(f"npm install failed:\n{exc.stderr[-2000:]}") from exc
        except subprocess.TimeoutExpired as exc:
            raise PeerBroken(f"npm install took more than {INSTALL_DEADLINE:g} s") from exc
        installed.write_text(wanted, encoding="ascii")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP exchange on the notifications path; times in seconds of the server's clock.

    `ended` is None while the server works on it, or holds it.
    """

    started: float
    ended: float | None
    messages: tuple[dict[str, Any], ...]

    def carries(self, channel: str) -> bool:
        return any(message["channel"] == channel for message in self.messages)


@dataclass(frozen=True, slots=True)
class Account:
    """What the server has seen. `expired` and `disconnected` are None where it does not say."""

    asked: int
    alive: int
    exchanges: tuple[Exchange, ...]
    expired: int | None
    disconnected: int | None

    def on(self, channel: str) -> list[Exchange]:
        return [exchange for exchange in self.exchanges if exchange.carries(channel)]

    @property
    def is_holding(self) -> bool:
        """Whether the newest connect waits for something to tell."""
        connects = self.on("/meta/connect")
        # the first is answered at once; the account can be taken while it is
        return len(connects) > 1 and connects[-1].ended is None


class NodePeer:
    """A running server script. Ends when closed."""

    def __init__(self, script: str, options: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            ["node", script, json.dumps(options)],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            self.url: str = json.loads(self._first_line())["url"]
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def _first_line(self) -> bytes:
        assert self._process.stdout is not None
        until, line = time.monotonic() + START_DEADLINE, b""
        while not line.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise PeerBroken(f"the server said nothing within {START_DEADLINE:g} s")
            piece = os.read(self._process.stdout.fileno(), 4096)
            if not piece:
                raise PeerBroken(f"the server ended with {self._process.wait()}")
            line += piece
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes stdin, which ends the script; kills it where that does not help, and says so."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            code = self._process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._process.stdout.close()
        if code != 0:
            raise PeerBroken(f"the server ended with {code}")

    async def account(self) -> Account:
        return await self._control("account")

    async def until(self, holds: Callable[[Account], bool]) -> Account:
        """The first account that `holds` accepts. Raises TimeoutError after 5 s."""
        async with asyncio.timeout(5):
            # the server tells nobody, so it is asked
            while not holds(account := await self.account()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            return account

    async def drop_channels(self) -> Account:
        """Removes every Bayeux session; the clients are not asked."""
        return await self._control("drop-channels")

    async def drop_logins(self) -> Account:
        """Forgets every HTTP session, and leaves the Bayeux sessions alone."""
        return await self._control("drop-logins")

    async def _control(self, what: str) -> Account:
        timeout = aiohttp.ClientTimeout(total=5)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(f"{self.url}/control/{what}") as reply,
        ):
            told = await reply.json()
        removed = told.get("removed", {})
        return Account(
            asked=told["asked"],
            alive=told["alive"],
            exchanges=tuple(_exchange(one) for one in told["exchanges"]),
            expired=removed.get("expired"),
            disconnected=removed.get("disconnected"),
        )


def _exchange(told: dict[str, Any]) -> Exchange:
    ended = None if told["end"] is None else told["end"] / 1000
    return Exchange(told["start"] / 1000, ended, tuple(told["messages"]))
