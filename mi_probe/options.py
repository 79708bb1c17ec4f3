"""Settings from the command line, and from a file with the same names."""

import argparse
import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias, TypeVar, get_args, get_origin

import yaml
from jsonargparse import ActionYesNo, ArgumentParser

from mi_probe.errors import InputError
from mi_probe.option_mistakes import in_words
from mi_probe.option_names import our_names

Settings = TypeVar("Settings")
_Listed: TypeAlias = str | int | float | list[str | int | float]
"""What a field that is a list may be given as."""
_LARGEST_CONFIG, _DEEPEST_CONFIG = 1 << 20, 50
"""Bytes, and lists and mappings within each other, of a file of settings."""


def about(text: str, default: Any = None) -> Any:
    """A field of settings with its line of ``--help``; of a list, each has a copy."""
    if isinstance(default, list):
        return dataclasses.field(default_factory=default.copy, metadata={"help": text})
    return dataclasses.field(default=default, metadata={"help": text})


def parse_settings(
    kind: type,
    arguments: Sequence[str],
    *,
    program: str,
    description: str,
    positional: str | None = None,
    defaults: Mapping[str, Any] | None = None,
    make: Callable[..., Settings] | None = None,
) -> Settings:
    """Settings from the command line over those of ``--config`` over the defaults.

    A field whose type has a list in it is given as ``a``, ``a,b`` or ``[a,b]``, and is a
    list afterwards; see `listed`.

    Args:
        kind: a frozen dataclass; ``metadata["help"]`` describes a field, and a field
            ``max_tokens`` is ``--max-tokens``, and ``max_tokens:`` in a file.
        arguments: the command line, without the program.
        program: what the user typed to run it.
        description: its first line of help.
        positional: the field that bare arguments fill, a list; None: there are none.
        defaults: of fields, in place of the dataclass's own.
        make: called with the values; None is the dataclass itself.

    Raises:
        InputError: on an unknown option or key, or a value of the wrong type.
    """
    parser = ArgumentParser(
        prog=program, description=description, exit_on_error=False, allow_abbrev=False
    )
    parser.add_argument(
        "--config",
        action="config",
        help="YAML or JSON with the settings below; the command line goes over it",
    )
    # Beside the option of the same name: in a file, bare arguments have no name, and
    # an empty list of them would go over the file's.
    if positional is not None:
        parser.add_argument("bare", nargs="*", type=str, metavar=positional, default=[])
    flags = {"-h", "--help", "--print_config"}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        option = "--" + field.name.replace("_", "-")
        default = (defaults or {}).get(field.name, _default(field))
        described = {"default": default, "help": field.metadata.get("help", "")}
        if field.type is bool:
            action = ActionYesNo(yes_prefix="", no_prefix="no-")
            parser.add_argument(option, action=action, **described)
            flags |= {option, option.replace("--", "--no-", 1)}
        else:
            taken = field.type
            if _entry(field) is not None:
                taken = _Listed | None if NoneType in get_args(field.type) else _Listed
            parser.add_argument(option, type=taken, **described)
    named = our_names(
        arguments,
        {field.name.replace("_", "-") for field in dataclasses.fields(kind)},  # type: ignore[arg-type]
        models=positional == "checkpoints",
    )
    ordered = _in_order(named, flags)
    for file in _config_files(ordered):
        check_config(file)
    try:
        found = parser.parse_args(ordered)
    except argparse.ArgumentError as error:
        message = " ".join(str(error).split())
        fields = dataclasses.fields(kind)  # type: ignore[arg-type]
        raise InputError(in_words(message, fields, program)) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"config must be UTF-8; it is not, at byte {error.start}."
        ) from None
    except InputError:
        raise
    except (RecursionError, ValueError):  # Python reads no number of 5,000 digits
        raise InputError(
            "settings must be plain values and lists; one is nested too deep, or a number "
            "of thousands of digits. "
            f"See `{program} --help`."
        ) from None
    values = {f.name: getattr(found, f.name) for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        entry, value = _entry(field), values[field.name]
        if entry is not None and value is None and NoneType not in get_args(field.type):
            raise InputError(
                f"{field.name.replace('_', '-')} must have a value; got null. "
                "Leave it out for the usual one."
            )
        if entry is not None and value is not None:
            # None of them may be a choice; who needs one says so.
            name = field.name.replace("_", "-")
            values[field.name] = listed(value, name, entry) if value not in ("", []) else []
    if positional is not None:
        values[positional] = found.bare or values[positional]
    return (make or kind)(**values)


def _config_files(ordered: Sequence[str]) -> Iterator[Path]:
    """The files that ``--config`` names."""
    for argument, following in zip(ordered, [*ordered[1:], ""], strict=False):
        option, equals, value = argument.partition("=")
        if option == "--config":
            path = Path(value if equals else following)
            with suppress(OSError, ValueError):  # a name that nothing can have
                if path.is_file():
                    yield path


def check_config(path: Path) -> None:
    """Raise where reading a file of settings could have no end.

    Raises:
        InputError: if it is large, deep, or repeats parts of itself by aliases (``*name``),
            of which a few lines can stand for more than any memory holds.
    """
    said = None
    if path.stat().st_size > _LARGEST_CONFIG:
        said = f"it has more than {_LARGEST_CONFIG} bytes"
    else:
        depth = 0
        with suppress(yaml.YAMLError, UnicodeDecodeError):  # the parser says it better
            for event in yaml.parse(path.read_text(encoding="utf-8"), yaml.SafeLoader):
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                if isinstance(event, yaml.AliasEvent):
                    said = f"it has an alias, *{event.anchor}"
                elif depth > _DEEPEST_CONFIG:
                    said = f"it is deeper than {_DEEPEST_CONFIG} levels"
                if said:
                    break
    if said:
        raise InputError(
            f"config must be a plain list of settings; in {str(path)!r} {said}. Write "
            "each setting out."
        )


def listed(value: Any, name: str, of: Callable[[str], Any] = str) -> list[Any]:
    """A list from ``a,b``, from a single value, or from a list of a file.

    Raises:
        InputError: if it is empty, an entry comes twice, or one is not what it must be.
    """
    parts = value if isinstance(value, list) else str(value).split(",")
    try:
        found = [of(str(part).strip()) for part in parts if str(part).strip()]
    except ValueError:
        raise InputError(
            f"{name} must be {of.__name__} values separated by commas; got '{value}'."
        ) from None
    if not found or len(set(found)) < len(found):
        raise InputError(
            f"{name} must name at least one, each once; got '{value}'. "
            "Write them as a,b,c without blanks."
        )
    return found


def _in_order(arguments: Sequence[str], flags: Collection[str]) -> list[str]:
    """``--config FILE``, bare arguments, which may have stood anywhere, then options.

    The file first, since what comes later wins; the bare ones together, since argparse
    takes only one group of them.

    Args:
        arguments: as the shell gave them.
        flags: the options that take no value.
    """
    files: list[str] = []
    options: list[str] = []
    bare: list[str] = []
    taken = iter(arguments)
    for argument in taken:
        if argument == "--":
            bare += taken
        elif not argument.startswith("-"):
            bare.append(argument)
        else:
            group = files if argument.partition("=")[0] == "--config" else options
            group.append(argument)
            if "=" not in argument and argument not in flags:
                group += [value for value in [next(taken, None)] if value is not None]
    # Options go last: one without its value must not swallow a bare argument.
    return files + bare + options


def _entry(field: dataclasses.Field) -> Callable[[Any], Any] | None:
    """What an entry of a field that is a list is; None where it is no list."""
    for option in (field.type, *get_args(field.type)):
        if get_origin(option) is list:
            kinds = {*get_args(option), *(k for a in get_args(option) for k in get_args(a))}
            return next(kind for kind in (str, float, int) if kind in kinds)
    return None


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default
