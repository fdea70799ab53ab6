"""What the terminal client knows and does, without any I/O: frames and typed lines in, a new view and effects out.

A text that the user said stays in `View.said` until EVAA has both acknowledged it (`turnStarted`: it is durable) and
answered it. Whatever is not acknowledged when a connection binds is sent again under its old id, which EVAA recognises;
so a lost connection neither loses nor doubles a text.
"""

import msgspec

from evaa.commands import talk_documents
from evaa.commands.talk_effects import Effect, Hearing, Piece, Print, Retracted, Send, Spoken, Writing
from evaa.commands.talk_frames import (
    Completed,
    Delta,
    ErrorFrame,
    GoingAway,
    Line,
    Progress,
    Ready,
    Reply,
    SeenStage,
    Transcript,
    TurnCancelled,
    TurnStarted,
    WarningFrame,
    plain,
    read_frame,
)
from evaa.commands.talk_state import Change, Said, View
from protocols.frontend import AudioFormat, ClientFrame, EndOfSpeech, Interrupt, Start, Text

_ENCODER = msgspec.json.Encoder()

# Errors name no turn; what they are about follows from their code.
_REFUSE_A_TEXT = frozenset(("bad_frame", "text_too_long", "rate_limited"))
_END_ALL = frozenset(("bad_session_id", "session_mismatch", "not_bound"))

_WHY_CANCELLED = {
    "interrupted": "interrupted",
    "resumed": "taken back: you went on",
    "superseded": "taken back: the answer begins anew",
}


def start_message(view: View) -> str:
    """Return the first message of a connection; it asks for the conversation so far."""
    return _encode(Start(session_id=view.session_id, audio=view.audio, replay=True))


def declare(view: View, audio: AudioFormat) -> Change:
    """A recording is going to be played. EVAA is told now, or else when a connection binds; `ready` answers that."""
    view = _with(view, audio=audio)
    return _with(view, bound=False), (Send(start_message(view)),) if view.bound else ()


def end_speech(view: View) -> Change:
    """The recording has been played to its end."""
    return view, (Send(_encode(EndOfSpeech())),)


def say(view: View, text: str, text_id: str) -> Change:
    """The user says something. While there is no connection it waits for the next one."""
    said = Said(text_id, text.encode(errors="replace").decode())
    view = _with(view, said=(*view.said, said))
    return view, (_send_again(said),) if view.bound else ()


def interrupt(view: View) -> Change:
    """The user wants the reply to stop."""
    if not (view.bound and view.busy):
        return view, (Print("note", "There is nothing to interrupt."),)
    return view, (Send(_encode(Interrupt())),)


def lost(view: View) -> Change:
    """The connection is gone, and with it the pieces of a reply that was coming, and of what was being heard."""
    effects = (*_no_longer_hearing(view), *_retraction(view, "lost with the connection"))
    view = _with(view, missed=view.missed or bool(view.partial), partial="", losses=view.losses + 1)
    view = _with(view, is_drafting=view.is_complete)  # the next connection tells how the documents stand
    return _with(view, bound=False, streaming=-1, streamed="", owed=-1), effects


def receive(view: View, message: str | bytes) -> Change:
    """EVAA sent a message. What is not understood changes nothing."""
    try:
        frame = read_frame(message)
    except (msgspec.MsgspecError, RecursionError) as error:
        return view, (Print("warning", f"EVAA sent something that this client cannot read: {plain(str(error))}"),)
    match frame:
        case None:
            return view, ()
        case Ready():
            return _ready(view, frame)
        case Transcript():
            return _transcript(view, frame)
        case TurnStarted():
            return _turn_started(view, frame), ()
        case Delta():
            return _delta(view, frame)
        case Reply():
            return _reply(view, frame)
        case TurnCancelled():
            return _turn_cancelled(view, frame)
        case Progress():
            return _progress(view, frame)
        case Completed():
            return _completed(view, frame)
        case WarningFrame():
            return view, (Print("warning", plain(frame.message)),)
        case ErrorFrame():
            return _error(view, frame)
        case GoingAway():
            after = max(0, frame.reconnect_after_ms) / 1000
            return _with(view, reconnect_after_s=after), (Print("note", "EVAA is being restarted."),)


# --- frame by frame ---------------------------------------------------------------------------------------------


def _ready(view: View, frame: Ready) -> Change:
    effects: list[Effect] = []
    for line in frame.messages:
        view, shown = _replayed(view, line)
        effects += shown
    spoken_to = any(line.role == "assistant" for line in frame.messages)
    view = _with(
        _settle(view, view.settled),
        bound=True,
        was_bound=True,
        opening_due=not frame.resumed and not spoken_to,
        missed=view.missed or view.heard > view.newest,
        heard=min(view.heard, view.newest),
        reconnect_after_s=0.0,
        stages=frame.stages,
    )
    if frame.status != "interviewing" or frame.stage is None:
        view, shown = _complete(view)
    else:
        view, shown = _enter(view, frame.stage)
    return view, (*effects, *shown, *_unacknowledged(view))


def _replayed(view: View, line: Line) -> Change:
    """Take one line of the conversation so far; show it unless it was shown when it was said."""
    if line.role == "assistant":
        if line.turn <= view.settled:
            return view, ()
        view = _with(view, settled=line.turn, newest=max(view.newest, line.turn))
        return view, (Print("evaa", plain(line.text) + (" (interrupted)" if line.interrupted else "")),)
    if line.turn <= view.newest:
        return view, ()
    view = _with(view, newest=line.turn)
    if line.turn <= view.heard:
        return view, ()
    ours = next((said for said in view.said if said.turn is None and said.text.strip() == line.text.strip()), None)
    if ours is None:
        return view, (Print("you", plain(line.text)),)
    # Stored after all, though the acknowledgement was lost on the way.
    return _acknowledge(view, ours.id, line.turn), ()


def _transcript(view: View, frame: Transcript) -> Change:
    text = plain(frame.text)
    if not frame.final:
        return _with(view, partial=text), (Hearing(text),) if text != view.partial else ()
    effects = (*_no_longer_hearing(view), Print("you", text))
    return _with(view, partial="", heard=frame.turn, missed=False, owed=frame.turn), effects


def _turn_started(view: View, frame: TurnStarted) -> View:
    # A text may be acknowledged only after its reply has failed; then none is owed.
    given_up = any(said.id == frame.id and said.answered for said in view.said)
    view = _with(view, newest=max(view.newest, frame.turn), owed=view.owed if given_up else frame.turn)
    return _settle(_acknowledge(view, frame.id, frame.turn), view.settled)


def _delta(view: View, frame: Delta) -> Change:
    text = plain(frame.text)
    if frame.turn <= view.settled or not text:
        return view, ()
    if frame.turn == view.streaming:
        return _with(view, streamed=view.streamed + text), (Piece(text),)
    retraction = _retraction(view, "taken back")
    return _with(view, streaming=frame.turn, streamed=text), (*retraction, Piece(text))


def _reply(view: View, frame: Reply) -> Change:
    if frame.turn <= view.settled:  # a resumed session is told its last reply again, be it a part of one
        return _settle(view, frame.turn, frame.id), ()
    effects = _spoken(view, frame)
    view = _settle(view, frame.turn, frame.id)
    newest = max(view.newest, frame.turn)
    view = _with(view, newest=newest, streaming=-1, streamed="", opening_due=False)
    if frame.next_stage and frame.next_stage_data is not None:
        following = frame.next_stage_data
        view, shown = _complete(view) if following.completed else _enter(view, following)
        return view, (*effects, *shown)
    if frame.turn > 0 and not view.is_complete:
        view = _with(view, follow_ups=view.follow_ups + 1)
    view, shown = _tell_stage(view)
    return view, (*effects, *shown)


def _spoken(view: View, frame: Reply) -> list[Effect]:
    """Complete the pieces to the whole reply, or put the reply in their place where they are no part of it."""
    response = plain(frame.response)
    streamed = view.streamed if view.streaming == frame.turn else ""
    if not streamed or not response.startswith(streamed):
        return [*_retraction(view, "replaced"), Spoken(response, streamed=False)]
    rest = response.removeprefix(streamed)
    return [*([Piece(rest)] if rest else []), Spoken(response, streamed=True)]


def _turn_cancelled(view: View, frame: TurnCancelled) -> Change:
    effects: tuple[Effect, ...] = ()
    if frame.turn == view.streaming:
        effects = _retraction(view, _WHY_CANCELLED.get(frame.reason, "taken back"))
        view = _with(view, streaming=-1, streamed="")
    if frame.reason == "interrupted":  # after the other reasons a later turn answers what was said
        view = _settle(view, frame.turn)
    return view, effects


def _progress(view: View, frame: Progress) -> Change:
    begins = () if view.progress else (Print("note", talk_documents.beginning(view.told)),)
    line = talk_documents.progress(frame)
    view = _with(view, is_drafting=True, progress=line)
    return view, (*begins, Writing(line))


def _completed(view: View, frame: Completed) -> Change:
    over = (Writing(""),) if view.progress else ()
    told = (frame.brd.version, frame.brd.state)
    shown = talk_documents.standing(frame.brd, view.session_id) if told != view.told else ()
    return _with(view, is_drafting=False, progress="", told=told), (*over, *shown)


def _error(view: View, frame: ErrorFrame) -> Change:
    shown = (Print("error", f"{plain(frame.message)} ({plain(frame.code)})"),)
    deaf = view.audio is not None and frame.code == "stt_unavailable" and not frame.retryable
    if deaf or frame.code in _END_ALL:
        return _with(view, is_refused=True, failed=True), shown
    if frame.code == "internal":  # EVAA's agent began anew; it knows only what it had acknowledged
        return view, (*shown, *_unacknowledged(view))
    if frame.code == "agent_unavailable":
        return _give_up(view), shown
    if frame.code in _REFUSE_A_TEXT:
        return _drop_newest(view), shown
    return view, shown


# --- parts ------------------------------------------------------------------------------------------------------


def _acknowledge(view: View, text_id: str | None, turn: int) -> View:
    said = tuple(
        msgspec.structs.replace(said, turn=turn, acknowledged=True) if said.id == text_id else said
        for said in view.said
    )
    return _with(view, said=said)


def _settle(view: View, turn: int, text_id: str | None = None) -> View:
    """Note that no turn up to this one gets another reply, nor does the text with this id."""
    settled = max(view.settled, turn)
    marked = (
        msgspec.structs.replace(said, answered=True)
        if said.id == text_id or (said.turn is not None and said.turn <= settled)
        else said
        for said in view.said
    )
    return _with(view, settled=settled, said=tuple(s for s in marked if not (s.answered and s.acknowledged)))


def _give_up(view: View) -> View:
    """No reply is coming. What is not acknowledged is still kept, for EVAA may not have it yet."""
    kept = (msgspec.structs.replace(said, answered=True) for said in view.said if not said.acknowledged)
    return _with(view, said=tuple(kept), owed=-1, opening_due=False, failed=view.failed or view.busy)


def _drop_newest(view: View) -> View:
    """Forget the newest text that may have been refused: what was sent before it was taken, or was refused before."""
    waiting = [said for said in view.said if not (said.acknowledged or said.answered)]
    if not waiting:
        return view
    return _with(view, said=tuple(said for said in view.said if said is not waiting[-1]), failed=True)


def _unacknowledged(view: View) -> tuple[Send, ...]:
    return tuple(_send_again(said) for said in view.said if not said.acknowledged)


def _enter(view: View, stage: SeenStage) -> Change:
    return _tell_stage(_with(view, stage=stage, follow_ups=stage.follow_ups_used))


def _tell_stage(view: View) -> Change:
    line = _stage_line(view)
    shown = (Print("stage", line),) if line != view.stage_line else ()
    return _with(view, stage_line=line), shown


def _stage_line(view: View) -> str:
    stage = view.stage
    if stage is None:
        return ""
    known = {other.stage_id: (number, other) for number, other in enumerate(view.stages, 1)}
    position, listed = known.get(stage.stage_id, (stage.order, stage))
    line = f"Stage {position} of {stage.total_stages or len(view.stages)}: {plain(stage.name)}"
    if not view.follow_ups:
        return line
    most = stage.max_follow_ups if stage.max_follow_ups is not None else listed.max_follow_ups
    return f"{line} (follow-up {view.follow_ups}{'' if most is None else f' of {most}'})"


def _complete(view: View) -> Change:
    if view.is_complete:
        return view, ()
    view = _with(view, is_complete=True, is_drafting=True, stage=None, stage_line="")
    return view, (Print("stage", "The interview is complete."),)


def _retraction(view: View, why: str) -> tuple[Effect, ...]:
    return (Retracted(view.streamed, why),) if view.streamed else ()


def _no_longer_hearing(view: View) -> tuple[Effect, ...]:
    return (Hearing(""),) if view.partial else ()


def _send_again(said: Said) -> Send:
    return Send(_encode(Text(text=said.text, id=said.id)))


def _encode(frame: ClientFrame) -> str:
    return _ENCODER.encode(frame).decode()


def _with(view: View, **changes: object) -> View:
    return msgspec.structs.replace(view, **changes)
