"""Who owns sessions."""

import time


def new_owner() -> str:
    """A name for this process as an owner of sessions: fresh at every start, never a host's name."""
    return f"{time.time_ns():x}-{id(object()):x}"
