"""Interviewer plug-ins: a model on Groq (Pydantic AI), and a scripted one that needs no network."""
