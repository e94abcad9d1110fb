"""What is wrong with a settings document, setting by setting: found what, allowed what, do what.

The rules are the msgspec Structs themselves (types, bounds, patterns); this module only walks them one setting at a
time, so that each problem names its own key and several can be told at once. A setting's `Meta(extra=...)` may carry
`allowed`, the sentence for what its pattern means.
"""

from __future__ import annotations

import difflib
import enum
import json
import re
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import inspect

MAX_PROBLEMS = 20
_SHOWN = 60


def show(value: object) -> str:
    """A found value for an error sentence: short, without credentials of a URL and without full numbers."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict):
        return "a table"
    elif isinstance(value, list):
        return f"a list of {len(value)}"
    else:
        text = _show_plain(value)
    text = re.sub(r"//[^/\s]*@", "//…@", text)
    text = re.sub(r"\d{8,}", lambda run: "•" * 6 + run[0][-2:], text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _show_plain(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # an integer of more digits than Python converts (sys.int_info)
        return "a huge number"


def problems(document: dict[str, object], kind: type[msgspec.Struct]) -> list[str]:
    """Every problem of `document` as settings of `kind`, at most `MAX_PROBLEMS`; empty: it fits.

    Each is `section.key: found X; allowed Y; what to do`.
    """
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    sections = {field.encode_name: field for field in described.fields}
    found: list[str] = []
    for name, value in document.items():
        field = sections.get(name)
        if field is None:
            found.append(_unknown(name, value, sections, described))
        elif not isinstance(value, dict):
            found.append(
                f"{name}: found {show(value)}; allowed is a section [{name}]; write its settings below that line"
            )
        else:
            found += _section_problems(name, value, _struct(field.type), described)
        if len(found) >= MAX_PROBLEMS:
            return found[:MAX_PROBLEMS]
    found += [
        f"[{name}]: found no such section; it is required; copy it from the sample configuration"
        for name, field in sections.items()
        if field.required and name not in document
    ]
    return found[:MAX_PROBLEMS]


def _section_problems(
    section: str, values: dict[str, object], described: inspect.StructType, whole: inspect.StructType
) -> list[str]:
    fields = {field.encode_name: field for field in described.fields}
    hints = get_type_hints(described.cls, include_extras=True)
    found: list[str] = []
    for key, value in values.items():
        where = f"{section}.{_key(key)}"
        field = fields.get(key)
        if field is None:
            found.append(
                f"{where}: found an unknown setting; allowed are {', '.join(fields)}; {_hint(key, fields, whole)}"
            )
            continue
        found += _value_problems(where, value, field, hints[key])
        if len(found) >= MAX_PROBLEMS:
            return found
    found += [
        f"{section}.{key}: found nothing; allowed is {allowed(field.type)}; add the line to [{section}]"
        for key, field in fields.items()
        if field.required and key not in values
    ]
    return found


def _value_problems(where: str, value: object, field: inspect.Field, annotation: Any) -> list[str]:
    if _fits(value, annotation):
        items = value if isinstance(value, list) else ()
        return [
            f"{where}[{index}]: found {show(item)}; allowed is text without control characters; correct it"
            for index, item in enumerate(items)
            if not _fits(item, Any)
        ]
    kind = _bare(field.type)
    if isinstance(kind, inspect.ListType) and isinstance(value, list):
        item_annotation = get_args(get_args(annotation)[0])[0]
        wrong = [
            f"{where}[{index}]: found {show(item)}; allowed is {allowed(kind.item_type)}; correct or remove it"
            for index, item in enumerate(value[:MAX_PROBLEMS])
            if not _fits(item, item_annotation)
        ]
        if wrong:
            return wrong
    return [f"{where}: found {show(value)}; allowed is {allowed(field.type)}; {_advice(field)}"]


def allowed(described: inspect.Type) -> str:
    """What a setting may be, in words."""
    if isinstance(described, inspect.Metadata):
        stated = (described.extra or {}).get("allowed")
        return stated if isinstance(stated, str) else allowed(described.type)
    match described:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number from {described.ge} to {described.le}"
        case inspect.EnumType():
            return "one of " + ", ".join(str(member.value) for member in described.cls)
        case inspect.ListType():
            lengths = f"{described.min_length} to" if described.min_length else "at most"
            return f"a list of {lengths} {described.max_length}, each {allowed(described.item_type)}"
        case inspect.StrType():
            return f"text of {described.min_length or 0} to {described.max_length} characters"
        case _:
            return "what the sample configuration shows"


def _advice(field: inspect.Field) -> str:
    if field.required:
        return "correct it"
    default: Any = field.default if field.default is not msgspec.NODEFAULT else None
    if isinstance(default, enum.Enum):
        default = default.value
    if default in (None, ""):
        return "correct it, or remove the line"
    return f"correct it, or remove the line for the default {show(default)}"


def _unknown(name: str, value: object, sections: dict[str, inspect.Field], whole: inspect.StructType) -> str:
    what = "an unknown section" if isinstance(value, dict) else "a setting outside any section"
    return f"{_key(name)}: found {what}; allowed are [{'], ['.join(sections)}]; {_hint(name, sections, whole)}"


def _hint(name: str, known: dict[str, inspect.Field], whole: inspect.StructType) -> str:
    close = difflib.get_close_matches(name[:64], known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    for section in whole.fields:
        if any(field.encode_name == name for field in _struct(section.type).fields):
            return f"it belongs in [{section.encode_name}]"
    return "remove it"


def _fits(value: object, annotation: Any) -> bool:
    if isinstance(value, str) and any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in value):
        return False
    try:
        msgspec.convert(value, annotation, strict=True)
    except (msgspec.ValidationError, OverflowError):
        return False
    return True


def _bare(described: inspect.Type) -> inspect.Type:
    return _bare(described.type) if isinstance(described, inspect.Metadata) else described


def _struct(described: inspect.Type) -> inspect.StructType:
    bare = _bare(described)
    if isinstance(bare, inspect.UnionType):  # a section that may be absent
        return _struct(next(kind for kind in bare.types if not isinstance(kind, inspect.NoneType)))
    assert isinstance(bare, inspect.StructType)
    return bare


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name) else show(name)
