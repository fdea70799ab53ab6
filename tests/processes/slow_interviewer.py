"""An interviewer that never answers, for `EVAA_LLM`."""

import trio

from protocols.ports import Answer, AnswerSink, TurnBrief


class SlowInterviewer:
    name = "slow"

    async def answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        await trio.sleep_forever()
        raise AssertionError("it never ends")


def make() -> SlowInterviewer:
    return SlowInterviewer()
