"""What a session and a speech recogniser say to one another.

Times ending in `_s` without further word are seconds on the audio clock of one provider connection: how much audio
that connection has been sent, however long it took. `now` is the session's monotonic clock.
"""

from typing import Literal

import msgspec

Encoding = Literal["webm", "ogg", "opus", "linear16"]
"""What a provider connection carries: two containers of Opus, bare Opus packets, or signed 16-bit little-endian PCM."""


class SttRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider connection is opened with. `sample_rate` (Hz) is None for containers, which tell it themselves.

    `language` is the client's own word (BCP 47), None if it said nothing. `keyterms` are words to expect.
    """

    encoding: Encoding
    sample_rate: int | None = None
    language: str | None = None
    keyterms: tuple[str, ...] = ()


class SttTraits(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider's protocol asks of whoever keeps a connection to it. Seconds.

    - `keep_alive_s`: nothing sent for so long, and a sign of life is due.
    - `unused_s`: a connection over which no audio ever went does not live longer; None: no such limit.
    - `silence_s`: for so long nothing was heard, and at least `unheard_s` of audio was sent meanwhile, more than the
      provider lets pass without a word: the connection is dead, whatever TCP says.
    - `rate`: how much faster than real time audio may be sent; `burst_s` of it may go at once on top of that.
    - `finish_s`: how long an answer to `finish_utterance` may take; then what was heard so far has to do.
    """

    keep_alive_s: float
    unused_s: float | None
    silence_s: float
    unheard_s: float
    rate: float = 1.25
    burst_s: float = 1.0
    finish_s: float = 1.0


# --- what is heard ----------------------------------------------------------------------------------------------


class Partial(msgspec.Struct, frozen=True, gc=False):
    """The utterance so far; the next partial replaces it."""

    text: str


class Eager(msgspec.Struct, frozen=True, gc=False):
    """The user has probably finished; `text` will be the final text unless `Resumed` comes."""

    text: str


class Resumed(msgspec.Struct, frozen=True, gc=False):
    """The user has not finished after all: what followed from the last `Eager` is void."""


class Final(msgspec.Struct, frozen=True, gc=False):
    """A whole utterance, never empty. `spoken_until_s` is where its last word ended, where that is known.

    `cause` is the protocol's own word for why it ended, for the log.
    """

    text: str
    spoken_until_s: float | None
    cause: str


class AskToFinish(msgspec.Struct, frozen=True, gc=False):
    """The provider should now be told to finish the utterance (`SttConnection.finish_utterance`)."""


Heard = Partial | Eager | Resumed | Final | AskToFinish
