"""Replies that do not arrive whole.

Knows how aiohttp sends a response, and how to end a connection in the midst of it. Does not
know why.
"""

from __future__ import annotations

import contextlib
import socket
import struct

from aiohttp import web

from history_pipeline.simulator.faults import Spoiled

_DO_NOT_LINGER = struct.pack("ii", 1, 0)
"""Makes the kernel answer with RST instead of FIN when the socket is closed."""


def reset(request: web.BaseRequest) -> web.Response:
    """Resets the connection; the response that aiohttp wants goes nowhere."""
    transport = request.transport
    if transport is not None:
        raw: socket.socket | None = transport.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DO_NOT_LINGER)
        transport.abort()
    return web.Response(status=500)


async def spoilt(
    request: web.BaseRequest, response: web.Response, spoiled: Spoiled
) -> web.StreamResponse:
    """What goes out of a response that is not prepared yet."""
    if spoiled.reset:
        return reset(request)
    if spoiled.sent is None:
        response.body = spoiled.body
        return response
    begun = web.StreamResponse(status=response.status, headers=response.headers)
    begun.cookies.update(response.cookies)
    begun.content_length = len(spoiled.body)
    await begun.prepare(request)
    await begun.write(spoiled.body[: spoiled.sent])
    if request.transport is not None:
        request.transport.close()
    return begun
