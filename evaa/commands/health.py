"""Whether EVAA takes connections: for the probes of balancers and orchestrators, and for a look.

One handshake, which binds no session: nothing of it is stored, and the server logs it only where it refuses it. The
handshake is spoken with `wsproto` itself; a client library's reader task and closing rules are not needed for it.
"""

from typing import TextIO

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, RejectConnection, RejectData, Request
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import RemoteProtocolError

from evaa.commands.address import Address, Stream, dial, parse_url
from evaa.commands.talk_frames import plain
from protocols.dialects import TYPED_JSON

DEADLINE_S = 3.0
"""For everything, from the look-up of the name to the end of the connection."""

_LONGEST_REASON = 300


async def report_health(url: str, problems: TextIO) -> int:
    """Return the exit status: 0 if EVAA takes connections at `url`. Otherwise 1, and a sentence in `problems`."""
    problem = await find_problem(url)
    if problem is None:
        return 0
    print(problem, file=problems)
    return 1


async def find_problem(url: str) -> str | None:
    """Return what keeps EVAA at `url` from taking connections, in one sentence; None if it takes them."""
    try:
        address = parse_url(url)
    except ValueError as error:
        return f"{error}."
    problem: str | None = f"EVAA gave no answer at {address.shown} in {DEADLINE_S:g} s."
    with trio.move_on_after(DEADLINE_S):
        try:
            async with await dial(address) as stream:
                websocket = WSConnection(ConnectionType.CLIENT)
                problem = await _shake_hands(stream, websocket, address)
                if problem is None:
                    await _say_goodbye(stream, websocket)
        except RemoteProtocolError:
            problem = f"What listens at {address.shown} does not answer like a WebSocket server."
        except trio.BrokenResourceError as error:
            if problem is not None:  # else it broke after the upgrade
                problem = f"The connection to {address.shown} broke: {error.__cause__ or error}."
        except (OSError, UnicodeError) as error:
            problem = f"Nothing listens at {address.shown}: {error}."
    return problem


async def _shake_hands(stream: Stream, websocket: WSConnection, address: Address) -> str | None:
    """Ask for the upgrade; return what is wrong with the answer, None for a good one. Raises what `stream` raises."""
    request = Request(host=address.authority, target=address.target, subprotocols=[TYPED_JSON])
    await stream.send_all(websocket.send(request))
    status, body = 0, b""
    while data := await stream.receive_some():
        websocket.receive_data(bytes(data))
        for event in websocket.events():
            match event:
                case AcceptConnection(subprotocol=dialect):
                    return None if dialect == TYPED_JSON else f"What listens at {address.shown} is not EVAA."
                case RejectConnection(status_code=status):
                    pass
                case RejectData(data=piece, body_finished=is_whole):
                    body += piece
                    if is_whole:
                        return _refusal(address, status, body)
    return _refusal(address, status, body) if status else f"What listens at {address.shown} hung up without an answer."


def _refusal(address: Address, status: int, body: bytes) -> str:
    reason = " ".join(plain(body.decode(errors="replace")).split())[:_LONGEST_REASON].rstrip(".")
    return f"EVAA refuses connections at {address.shown}: HTTP {status}{': ' if reason else ''}{reason}."


async def _say_goodbye(stream: Stream, websocket: WSConnection) -> None:
    """Close in the regular way, and let the server hang up, so that nothing looks lost to it."""
    await stream.send_all(websocket.send(CloseConnection(code=CloseReason.NORMAL_CLOSURE)))
    while await stream.receive_some():
        pass
