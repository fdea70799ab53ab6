"""Ids of nodes: the same in every version of a BRD."""

import hashlib


def uuid_of(*parts: str) -> str:
    """A UUID of the kind that is made from data (RFC 9562, version 8): the same parts give the same one."""
    spelt = "".join(f"{len(part)}:{part}" for part in parts)  # so that no two lists of parts are spelt alike
    digits = hashlib.sha256(spelt.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"
