"""A simulator of Groq's API: real HTTP/1.1 with event streams, scripted from Python or over HTTP."""

from evaa.simulators.groq.script import Behaviour, Counters, RecordedRequest
from evaa.simulators.groq.server import MODELS, GroqSimulator
from evaa.simulators.scripted_server import MAX_SCRIPT

__all__ = ["MAX_SCRIPT", "MODELS", "Behaviour", "Counters", "GroqSimulator", "RecordedRequest"]
