"""A client with no cleverness, for the tests of the server alone.

Knows HTTP and JSON. Repeats nothing, repairs nothing and keeps every reply whole.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp

CHANNEL = "/v2/ucs/interactions"


def basic(username: str = "apiuser", password: str = "password") -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class Raw(NamedTuple):
    """A reply as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def history_path(contact_id: str) -> str:
    return f"/api/v2/ucs/contacts/{contact_id}/interactions"


class PlainClient:
    def __init__(self, url: str, authorization: str | None = None) -> None:
        self.url = url
        self.authorization = authorization or basic()
        self.csrf: dict[str, str] = {}
        self.client_id: str | None = None
        self.ack: int | None = None

    async def __aenter__(self) -> Self:
        self.http = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(total=5),
            headers={"Authorization": self.authorization},
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.http.close()

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.http.get(self.url + path) as reply:
            if "X-CSRF-HEADER" in reply.headers:
                self.csrf = {reply.headers["X-CSRF-HEADER"]: reply.headers["X-CSRF-TOKEN"]}
            return reply.status, await reply.json(content_type=None)

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        async with self.http.post(self.url + path, json=body, headers=self.csrf) as reply:
            text = await reply.text()
            return reply.status, json.loads(text) if text[:1] in "[{" else text

    async def raw(self, method: str, path: str, body: Any = None) -> Raw:
        """Whatever comes; raises aiohttp.ClientError where it does not come whole."""
        async with self.http.request(
            method, self.url + path, json=body, headers=self.csrf, allow_redirects=False
        ) as reply:
            return Raw(reply.status, reply.headers, await reply.read())

    async def bayeux(self, *messages: dict[str, Any], suffix: str = "") -> list[Any]:
        status, replies = await self.post("/api/v2/notifications" + suffix, list(messages))
        assert status == 200, replies
        return list(replies)

    async def handshake(self, *, ack: bool = False) -> dict[str, Any]:
        message: dict[str, Any] = {
            "id": "1",
            "channel": "/meta/handshake",
            "version": "1.0",
            "supportedConnectionTypes": ["long-polling"],
        }
        if ack:
            message["ext"] = {"ack": True}
            self.ack = 0
        reply: dict[str, Any] = (await self.bayeux(message, suffix="/handshake"))[-1]
        self.client_id = reply.get("clientId")
        return reply

    async def subscribe(self, channel: str = CHANNEL) -> dict[str, Any]:
        message = {"channel": "/meta/subscribe", "subscription": channel}
        message["clientId"] = str(self.client_id)
        reply: dict[str, Any] = (await self.bayeux(message))[-1]
        return reply

    async def connect(self, **fields: Any) -> list[Any]:
        message: dict[str, Any] = {"channel": "/meta/connect", "connectionType": "long-polling"}
        message |= {"clientId": self.client_id, **fields}
        if self.ack is not None and "ext" not in fields:
            message["ext"] = {"ack": self.ack}
        replies = await self.bayeux(message, suffix="/connect")
        if "ext" in replies[-1]:
            self.ack = replies[-1]["ext"]["ack"]
        return replies

    async def open(self, *, ack: bool = False) -> None:
        """Login, handshake, first connect, subscription."""
        await self.get("/api/v2/me")
        assert (await self.handshake(ack=ack))["successful"]
        await self.connect()
        assert (await self.subscribe())["successful"]

    async def ask(self, contact_id: str, **parameters: Any) -> tuple[int, Any]:
        body = {"operationName": "RetrieveContactHistory"} | parameters
        return await self.post(history_path(contact_id), body)

    async def ask_raw(self, contact_id: str, **parameters: Any) -> Raw:
        body = {"operationName": "RetrieveContactHistory"} | parameters
        return await self.raw("POST", history_path(contact_id), body)

    async def accepted(self, contact_id: str, **parameters: Any) -> int:
        """Asks, and gives the reference id of the request."""
        status, told = await self.ask(contact_id, **parameters)
        assert status == 200 and told["statusCode"] == 0, told
        return int(told["referenceId"])

    async def notifications(self, count: int = 1) -> list[Any]:
        """The `data` of the next `count` notifications."""
        found: list[Any] = []
        async with asyncio.timeout(5):
            while len(found) < count:
                replies = await self.connect()
                found += [one["data"] for one in replies if one["channel"] == CHANNEL]
        return found

    async def waiting(self) -> list[Any]:
        """The `data` of the notifications that wait by now; with ack they are acknowledged."""
        found: list[Any] = []
        while True:
            replies = await self.connect(advice={"timeout": 0})
            found += [one["data"] for one in replies if one["channel"] == CHANNEL]
            if len(replies) == 1:
                return found

    async def history(self, contact_id: str, **parameters: Any) -> Any:
        """Asks and waits for the answer's `data`."""
        status, told = await self.ask(contact_id, **parameters)
        assert status == 200, told
        [answer] = await self.notifications()
        assert answer["referenceId"] == told["referenceId"]
        return answer
