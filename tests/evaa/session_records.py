"""Any session at all: what hypothesis may think of that a store holds."""

import json

from hypothesis import strategies as st

from protocols.records import Interview, SessionRecord, Stage, TurnRecord

ids = st.integers(0, 2**96 - 1).map("{:024x}".format)
texts = st.text(max_size=12)
times_ms = st.integers(0, 253_402_300_799_999)
counts = st.integers(0, 2**63 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
messages = st.builds(json.dumps, json_values, ensure_ascii=st.booleans())
stages = st.builds(
    Stage,
    stage_id=ids,
    name=texts,
    description=texts,
    goal=texts,
    order=st.integers(-(2**63) + 1, 2**63 - 1),
    opening=texts,
    max_follow_ups=counts,
    follow_ups=st.lists(texts, max_size=2).map(tuple),
    keyterms=st.lists(texts, max_size=2).map(tuple),
    imposed_at_ms=times_ms,
)


@st.composite
def turns(draw: st.DrawFn, stage_ids: list[str]) -> tuple[TurnRecord, ...]:
    return tuple(
        TurnRecord(
            turn=number,
            stage_id=draw(st.sampled_from([*stage_ids, ""])),
            source=draw(st.sampled_from(["voice", "text"])),
            text=draw(texts),
            said_at_ms=draw(times_ms),
            client_id=draw(st.none() | texts),
            reply=draw(texts),
            outcome=draw(st.sampled_from(["pending", "answered", "interrupted", "superseded"])),
            closed_stage=draw(st.booleans()),
        )
        for number in range(1, draw(st.integers(0, 3)) + 1)
    )


@st.composite
def records(draw: st.DrawFn) -> SessionRecord:
    own = tuple(draw(st.lists(stages, min_size=1, max_size=3, unique_by=lambda stage: stage.stage_id)))
    interview = Interview(
        stages=own,
        stage_index=draw(st.integers(0, len(own))),
        follow_ups_used=draw(counts),
        turns=draw(turns([stage.stage_id for stage in own])),
        facts=draw(st.dictionaries(ids, st.dictionaries(texts, texts, max_size=2), max_size=2)),
    )
    history = tuple(draw(st.lists(messages, max_size=3)))
    return SessionRecord(draw(ids), interview, draw(times_ms), draw(times_ms), history, draw(counts))
