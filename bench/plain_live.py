"""The plain loop that realtime is compared with: Starlette, one `send_text` after another, no limits.

`python -m bench.plain_live PORT`. A client joins by sending anything. The body of a POST to /say goes to all clients.
"""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

clients: set[WebSocket] = set()


async def live(websocket: WebSocket) -> None:
    """Serve one client until it leaves."""
    await websocket.accept()
    try:
        await websocket.receive_text()
        await websocket.send_text('{"type":"showtime:update"}')
        clients.add(websocket)
        await websocket.receive_text()
    except WebSocketDisconnect:
        clients.discard(websocket)


async def say(request: Request) -> Response:
    """Send the body to all clients."""
    text = (await request.body()).decode()
    for client in list(clients):
        try:
            await client.send_text(text)
        except (WebSocketDisconnect, RuntimeError):  # the client has left, or uvicorn has ended the connection
            clients.discard(client)
    return Response(status_code=204)


app = Starlette(routes=[WebSocketRoute("/ws", live), Route("/say", say, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,
        ws_per_message_deflate=False,
    )
