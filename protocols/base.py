"""What everything that is stored has in common."""

import msgspec


class Record(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base of everything stored: frozen, camelCase on the outside, defaults left out."""
