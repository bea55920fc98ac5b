"""A balancer in front of several nodes.

Knows its own cookie, which names the node that a client stays with (guide, 1.7). Does not look
at sessions: without the cookie a call goes to the nodes in turn, and the one that gets it need
not know the caller. Nodes share the world and the stats, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from history_pipeline.simulator.gateway import Gateway
from history_pipeline.simulator.http_sessions import cookie

NODE_COOKIE = "AWSELB"


class Balancer:
    """`handle` is the handler for aiohttp. `first` is the first node's number."""

    def __init__(self, gateways: Sequence[Gateway], first: int = 1) -> None:
        self._gateways = {f"node{number}": one for number, one in enumerate(gateways, first)}
        self._names = tuple(self._gateways)
        self._strays = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        node = cookie(request.headers.get("Cookie"), NODE_COOKIE)
        if node in self._gateways:
            return await self._gateways[node].handle(request)
        node = self._names[self._strays % len(self._names)]
        self._strays += 1
        response = await self._gateways[node].handle(request)
        if not response.prepared:
            response.set_cookie(NODE_COOKIE, node, path="/", httponly=True)
        return response
