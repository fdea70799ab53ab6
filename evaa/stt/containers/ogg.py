"""Ogg with Opus, parsed as it comes (RFC 3533, RFC 7845).

A page is taken when it is complete and its checksum is right. After damage the parser goes on at the next intact page,
with the same header. The damaged bytes are left out, so that what is passed on is always whole pages.
"""

from evaa.stt.containers.events import AudioEvent, Damage, Gap, Header, Packet
from evaa.stt.containers.ogg_pages import (
    BEGINS_STREAM,
    CAPTURE,
    CONTINUED,
    HEAD_BYTES,
    Page,
    can_be_page,
    is_intact,
    page_bytes,
    read_page,
)
from evaa.stt.containers.opus import MAX_PACKET_BYTES, packet_duration_us

MAX_PENDING_BYTES = 1 << 20
"""What may come without the end of a packet of audio: header pages, empty pages."""

_RECORD_INSTEAD = "record audio/ogg;codecs=opus from a stream of audio only"
_OTHER_CODECS = {b"\x01vor": "Vorbis", b"\x7fFLA": "FLAC", b"Spee": "Speex", b"\x80the": "Theora video"}
_LEAST_OPUS_HEAD_BYTES = 19
_SEARCH_FACTOR = 8
"""How often a byte may be looked at in search of an intact page; beyond that, bad pages are skipped whole."""


class OggParser:
    """Feed it a recording as it comes; it gives back what is in it (see `events`).

    It never raises for what it is fed, and keeps at most about 1 MiB beyond the chunk it is fed.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._taken = 0  # up to here events have been made of `_data`
        self._at = 0  # where the next page begins
        self._effort = 0  # what may still be spent on finding a page among damaged bytes
        self._is_told = False  # of damage; nothing more is said of it until audio comes again
        self._serial: int | None = None  # of the stream whose header has begun; None: no header
        self._has_tags = False
        self._last_began = False  # whether the last page began a stream
        self._sequence = 0  # of the next page
        self._begun: bytearray | None = None  # a packet of which more is to come with the next page
        self._carried = bytearray()  # what came before damage and waits for the end of such a packet

    @property
    def pending_bytes(self) -> int:
        """How much is kept until more comes."""
        return len(self._data) + len(self._carried) + len(self._begun or b"")

    def feed(self, data: bytes) -> list[AudioEvent]:
        """Return what `data` completes, in order."""
        events: list[AudioEvent] = []
        self._data += data
        self._effort = min(self._effort + _SEARCH_FACTOR * len(data), MAX_PENDING_BYTES)
        while size := self._find_page(events):
            page = read_page(self._data, self._at)
            self._take_page(page, self._at + size, events)
        del self._data[: self._taken]
        self._at -= self._taken
        self._taken = 0
        return events

    def _find_page(self, events: list[AudioEvent]) -> int | None:
        """Go to the next intact page; return its size, None if it has not come yet."""
        data = self._data
        look = self._at
        while True:
            found = data.find(CAPTURE, look)
            look = found if found >= 0 else max(look, len(data) - len(CAPTURE) + 1)
            size = None
            if found < 0:
                break
            if not can_be_page(data, look):
                look += 1
                continue
            size = page_bytes(data, look)
            if size is None or is_intact(bytes(data[look : look + size])):
                break
            look += 1 if self._effort > 0 else size
            self._effort -= size
        if look > self._at:
            self._tell("the recording is damaged: there is something that is no intact Ogg page", events)
            self._leave_out(look)
        return size

    def _take_page(self, page: Page, end: int, events: list[AudioEvent]) -> None:
        begins = bool(page.flags & BEGINS_STREAM)
        if begins:
            self._begin_stream(page, end, events)
        elif page.serial == self._serial:
            self._go_on(page, end, events)
        else:
            has_header = self._serial is not None
            self._refuse("more than one stream" if has_header else "no intact header at its beginning", end, events)
        self._last_began = begins

    def _begin_stream(self, page: Page, end: int, events: list[AudioEvent]) -> None:
        """A new recording, unless it is one of several streams that begin together."""
        self._serial, self._begun, self._has_tags = None, None, False
        self._carried.clear()
        self._taken = self._at
        if self._last_began:
            self._refuse("more than one stream", end, events)
            return
        self._is_told = False
        head = bytes(self._data[self._at + HEAD_BYTES + len(page.lacing) : end])
        if head.startswith(b"OpusHead") and len(head) >= _LEAST_OPUS_HEAD_BYTES:
            self._serial, self._sequence = page.serial, page.sequence + 1
            self._at = end
        else:
            self._refuse(f"{_OTHER_CODECS.get(head[:4], 'another codec')} instead of Opus", end, events)

    def _go_on(self, page: Page, end: int, events: list[AudioEvent]) -> None:
        """The next page of the stream that is understood."""
        expected, self._sequence = self._sequence & 0xFFFF_FFFF, page.sequence + 1
        is_next = page.sequence == expected
        if self._has_tags:
            if not is_next:
                self._begun = None
                events.append(Gap(_missing(expected, page.sequence - 1)))
            self._take_audio(page, end, events)
        elif is_next:
            self._take_tags(page, end, events)
        else:
            self._serial = None
            self._refuse("no intact header at its beginning", end, events)
        if len(self._carried) + end - self._taken > MAX_PENDING_BYTES:
            self._tell("the recording is damaged: more than 1 MiB without audio", events)
            self._carried.clear()
            self._taken, self._begun = end, None

    def _take_tags(self, page: Page, end: int, events: list[AudioEvent]) -> None:
        """A page of the second packet, which ends the header together with its page (RFC 7845 section 3)."""
        body_at = self._at + HEAD_BYTES + len(page.lacing)
        if self._begun is None and not self._data.startswith(b"OpusTags", body_at):
            self._serial = None
            self._refuse("no OpusTags in its header", end, events)
            return
        self._at = end
        self._begun = bytearray()  # of the tags nothing need be known but where they end
        if page.lacing.rstrip(b"\xff"):
            self._begun, self._has_tags = None, True
            events.append(Header("ogg", self._take_raw(end)))

    def _take_audio(self, page: Page, end: int, events: list[AudioEvent]) -> None:
        """Make packets of a page's segments: each ends with a segment of less than 255 bytes."""
        begun, self._begun = self._begun, None
        is_continued = bool(page.flags & CONTINUED)
        if begun is not None and not is_continued:
            self._tell("the recording is damaged: a packet breaks off at the end of its page", events)
            begun = None
        is_rest = is_continued and begun is None  # the first packet's beginning is missing
        packet_at = at = self._at + HEAD_BYTES + len(page.lacing)
        self._at = end
        for size in page.lacing:
            at += size
            if size == 255:
                continue
            if not is_rest:
                self._take_packet(packet_at, at, begun, events)
            is_rest, begun, packet_at = False, None, at
        if page.lacing[-1:] == b"\xff" and not is_rest:
            self._begun = begun if begun is not None else bytearray()
            self._begun += self._data[packet_at:end]
            if len(self._begun) > MAX_PACKET_BYTES:
                self._tell(f"a packet of the recording is too long for Opus; {_RECORD_INSTEAD}", events)
                self._begun = None

    def _take_packet(self, at: int, end: int, begun: bytearray | None, events: list[AudioEvent]) -> None:
        payload = bytes(self._data[at:end])
        joined = b"" if begun is None else bytes(begun) + payload
        duration_us = packet_duration_us(joined or payload)
        if duration_us is None:
            self._tell(f"a packet of the recording is not Opus; {_RECORD_INSTEAD}", events)
            return
        raw = self._take_raw(end)
        events.append(Packet(raw, len(raw) - len(payload), duration_us, joined))
        self._is_told = False

    def _take_raw(self, end: int) -> bytes:
        """What came since the last packet, without what was left out."""
        raw = (
            bytes(self._carried + self._data[self._taken : end])
            if self._carried
            else bytes(self._data[self._taken : end])
        )
        self._carried.clear()
        self._taken = end
        return raw

    # --- damage -------------------------------------------------------------------------------------------------

    def _refuse(self, what: str, end: int, events: list[AudioEvent]) -> None:
        """Leave out a page that cannot be used."""
        self._tell(f"the recording has {what}; {_RECORD_INSTEAD}", events)
        self._leave_out(end)

    def _leave_out(self, end: int) -> None:
        self._carried += self._data[self._taken : self._at]
        self._taken = self._at = end

    def _tell(self, reason: str, events: list[AudioEvent]) -> None:
        if not self._is_told:
            self._is_told = True
            events.append(Damage(reason))


def _missing(first: int, last: int) -> str:
    if last < first:
        return f"page {last + 1} came where page {first} should have"
    return f"page {last} is missing" if last == first else f"pages {first} to {last} are missing"
