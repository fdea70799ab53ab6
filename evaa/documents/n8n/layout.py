"""Where everything stands on n8n's canvas: steps from left to right, each step's note above it, the others below.

All in n8n's pixels, on its grid of 16: a node is 96 wide and high, with its name below it.
"""

import unicodedata
from collections.abc import Sequence

import msgspec

GRID = 16
COLUMN = 288
LANE = 240
NODE = 96
GAP = 48
NOTE_WIDTH = 256
BOARD_WIDTH = 480
ERROR_NOTE_WIDTH = 3 * COLUMN - (COLUMN - NOTE_WIDTH)
_LINE = 23
_CHARACTER = 7.5
_PADDING = 40
_LEAST_HEIGHT = 128


class Box(msgspec.Struct, frozen=True):
    """A place on the canvas: its left upper corner and its size."""

    x: int
    y: int
    width: int
    height: int


def node_box(column: int, lane: int) -> Box:
    """Where a node stands: under the middle of its column's note."""
    return Box(column * COLUMN + (NOTE_WIDTH - NODE) // 2, lane * LANE, NODE, NODE)


def above(column: int, content: str) -> Box:
    """The note above the first lane of a column."""
    height = height_of(content, NOTE_WIDTH)
    return Box(column * COLUMN, -GAP - height, NOTE_WIDTH, height)


def left(content: str) -> Box:
    """The note to the left of everything."""
    return Box(-BOARD_WIDTH - 2 * GAP, 0, BOARD_WIDTH, height_of(content, BOARD_WIDTH))


def below(lane: int, content: str) -> Box:
    """The note below a lane, as wide as its first three columns."""
    return Box(0, lane * LANE + NODE + 2 * GAP, ERROR_NOTE_WIDTH, height_of(content, ERROR_NOTE_WIDTH))


def row(top: int, contents: Sequence[str]) -> list[Box]:
    """Notes side by side, from this height on."""
    step = BOARD_WIDTH + GRID * 2
    return [
        Box(index * step, top, BOARD_WIDTH, height_of(content, BOARD_WIDTH)) for index, content in enumerate(contents)
    ]


def height_of(content: str, width: int) -> int:
    """How high a note must be to show all of its text: an estimate, on the generous side."""
    room = int((width - _PADDING) / _CHARACTER)
    lines = sum(1 + _columns(line) // room for line in content.split("\n"))
    needed = lines * _LINE + 2 * _PADDING
    return max(_LEAST_HEIGHT, -(-needed // GRID) * GRID)


def _columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)
