"""Messages are cut where they end, however they come, and know their command."""

import struct

import pytest
from bson import encode

from tests.mongodb.messages import MAX_MESSAGE_BYTES, OP_MSG, Message, MessageBuffer

BODY = b"\0" + encode({"insert": "things", "$db": "app"})
DOCUMENTS = encode({"_id": 1}) + encode({"_id": 2})
SEQUENCE = b"\1" + struct.pack("<i", 4 + 10 + len(DOCUMENTS)) + b"documents\0" + DOCUMENTS


def packed(*sections: bytes, op_code: int = OP_MSG) -> bytes:
    payload = struct.pack("<I", 0) + b"".join(sections)
    return struct.pack("<iiii", 16 + len(payload), 7, 6, op_code) + payload


def cut(buffer: MessageBuffer) -> list[bytes]:
    messages = []
    while (message := buffer.next_message()) is not None:
        messages.append(message.data)
    return messages


@pytest.mark.parametrize("sections", [(BODY,), (BODY, SEQUENCE), (SEQUENCE, BODY), (SEQUENCE, SEQUENCE, BODY)])
def test_a_message_knows_its_command(sections: tuple[bytes, ...]) -> None:
    message = Message(packed(*sections))
    assert (message.command, message.request_id, message.answers) == ("insert", 7, 6)


def test_a_message_of_another_kind_has_none() -> None:
    assert Message(packed(BODY, op_code=2004)).command == ""


@pytest.mark.parametrize("at_once", [1, 7, 16, 1_000])
def test_messages_are_cut_where_they_end(at_once: int) -> None:
    sent: list[bytes] = [packed(BODY), packed(BODY, SEQUENCE), packed(BODY)]
    stream = b"".join(sent)
    buffer = MessageBuffer()
    got: list[bytes] = []
    for start in range(0, len(stream), at_once):
        buffer.feed(stream[start : start + at_once])
        got += cut(buffer)
    assert got == sent


@pytest.mark.parametrize("size", [-1, 0, 15, MAX_MESSAGE_BYTES + 1])
def test_what_cannot_be_a_message_is_refused(size: int) -> None:
    buffer = MessageBuffer()
    buffer.feed(struct.pack("<iiii", size, 0, 0, OP_MSG))
    with pytest.raises(ValueError, match="message"):
        buffer.next_message()
