"""Server-sent events, sans-I/O (WHATWG HTML, section 9.2): bytes in, events out."""

import msgspec

MAX_EVENT_BYTES = 1_048_576


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event; `name` is `message` unless the stream says otherwise."""

    name: str
    data: bytes


class EventTooLarge(ValueError):
    """The stream sent an event, or a line, of more than `MAX_EVENT_BYTES`."""


class EventParser:
    """Feed it the bytes of a stream as they come. Comments, ids and retry times are passed over."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = "message"
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes. Raises `EventTooLarge`."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLarge(f"a line of more than {MAX_EVENT_BYTES} bytes")
        events = []
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                self._add(line[5:])
            elif line.startswith(b"event:"):
                self._name = line[6:].strip().decode("utf-8", "replace")
            elif not line:
                if self._data:
                    events.append(Event(self._name, b"\n".join(self._data)))
                self._name, self._data, self._data_bytes = "message", [], 0
        return events

    def _add(self, data: bytes) -> None:
        data = data[1:] if data[:1] == b" " else data
        self._data.append(data)
        self._data_bytes += len(data) + 1
        if self._data_bytes > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event of more than {MAX_EVENT_BYTES} bytes")
