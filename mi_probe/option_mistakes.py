"""What is wrong with a command line or a file of settings, in the user's words.

The parser speaks of keys, union subtypes and validation; whoever mistyped an option wants
to read which one it was, what it takes, and what they probably meant.
"""

import dataclasses
import re
from collections.abc import Collection
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from mi_probe.errors import meant

_KEY = re.compile(r'Parser key "(\w+)": .*(?:Given|Got) value: (.*)')
_UNKNOWN = re.compile(r"unrecognized arguments: (\S+)")
_SETTING = re.compile(r"Option '(\w+)' is not accepted")
_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def in_words(message: str, fields: Collection[dataclasses.Field], program: str) -> str:
    """The parser's message, reworded where it is one of the usual ones.

    Args:
        message: as jsonargparse gave it, in one line.
        fields: the settings that there are.
        program: what the user typed to run the command.
    """
    found = _reworded(message.rstrip("."), {field.name: field for field in fields})
    return f"{found} See `{program} --help`."


def _reworded(message: str, fields: dict[str, dataclasses.Field]) -> str:
    if (wrong := _KEY.search(message)) and wrong[1] in fields:
        name = wrong[1].replace("_", "-")
        return f"{name} must be {_takes(fields[wrong[1]].type)}; got '{wrong[2]}'."
    if unknown := _UNKNOWN.search(message):
        given = unknown[1].partition("=")[0]
        if not given.startswith("-"):
            return (
                f"each value must follow its option, as in --name {given}; got "
                f"'{given}' by itself."
            )
        options = [name.replace("_", "-") for name in fields]
        hint = meant(given.lstrip("-").replace("_", "-"), options).replace("'", "'--", 1)
        return f"options must be ones that there are; there is no {given}.{hint}"
    if setting := _SETTING.search(message):
        hint = meant(setting[1], fields)
        return f"config must hold settings of this command; it has '{setting[1]}'.{hint}"
    if "Unexpected config" in message:
        return "config must be a mapping, one `name: value` a line; it is something else."
    return f"{message}."


def _takes(kind: Any) -> str:
    """What a field takes, in words."""
    options = get_args(kind) if get_origin(kind) is not Literal else (kind,)
    listed = any(get_origin(option) is list for option in (kind, *options))
    kinds = [kind, *options, *(k for option in options for k in get_args(option))]
    for option in kinds:
        if get_origin(option) is Literal:
            return "one of " + ", ".join(map(str, get_args(option)))
    plain = [one for one in kinds if one in _KINDS]
    if listed:
        return "one value, or several separated by commas"
    said = " or ".join(_KINDS[one] for one in plain) or "of another kind"
    return said + " or null" * (NoneType in kinds)
