"""A simulator of Deepgram's streaming speech-to-text: real WebSockets, both protocols, scripted from Python or HTTP.

`server` is where to begin. It owes nothing to the product's own knowledge of Deepgram, so that mistakes do not cancel
out.
"""

from evaa.simulators.deepgram.script import ConnectionRecord, Counters, Fault
from evaa.simulators.deepgram.server import DeepgramSimulator
from evaa.simulators.scripted_server import MAX_SCRIPT

__all__ = ["MAX_SCRIPT", "ConnectionRecord", "Counters", "DeepgramSimulator", "Fault"]
