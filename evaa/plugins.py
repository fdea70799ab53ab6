"""Loading a plug-in that somebody else has written."""

import importlib
from collections.abc import Sequence


class PluginRefused(Exception):
    """A plug-in that cannot be had; the message says why."""


def load_factory(path: str, *, variable: str, kind: str, methods: Sequence[str]) -> object:
    """Call the factory at `package.module:name` that `variable` names, and return what it makes.

    Raises `PluginRefused` if there is none, or if what it makes lacks one of `methods` and so is none of its kind.
    """
    module_name, _, name = path.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise PluginRefused(f"{variable} is {path}, but it cannot be loaded: {error}.") from None
    if not callable(factory):
        raise PluginRefused(f"{variable} is {path}, but that is not callable; it should return {kind}.")
    made: object = factory()
    missing = [method for method in methods if not hasattr(made, method)]
    if missing:
        raise PluginRefused(f"{variable} is {path}, but what it returns lacks {', '.join(missing)}.")
    return made
