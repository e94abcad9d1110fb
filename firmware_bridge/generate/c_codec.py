"""lc_messages.c: how each message becomes bytes and is read from them, with every bound of the table."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_bridge import messages as m
from firmware_bridge.generate.c_header import NOTICE, codec_names
from firmware_bridge.generate.table import constant, enumerations, layouts, snake
from firmware_bridge.vocabulary import Kind
from firmware_bridge.wire import Blob, Choice, Codec, Flag, Layout, Many, Rest, Scalar, Text


def _chosen() -> list[str]:
    """The enumerations that are a field of some record, and so need a test."""
    found: dict[str, None] = {}
    for layout in layouts():
        for _, codec in layout.fields:
            element = codec.element if isinstance(codec, Many) else codec
            if isinstance(element, Choice):
                found[element.members.__name__] = None
    return list(found)


def _known() -> Iterator[str]:
    chosen = _chosen()
    for members in enumerations():
        if (name := members.__name__) not in chosen:
            continue
        yield f"static bool known_{snake(name)}(uint8_t value)"
        yield "{"
        yield "    switch (value) {"
        yield from (f"    case LC_{constant(name)}_{member.name}:" for member in members)
        yield "        return true;"
        yield "    default:"
        yield "        return false;"
        yield "    }"
        yield "}"
        yield ""


def _put(codec: Codec, value: str) -> Iterator[str]:
    match codec:
        case Scalar():
            cast = f"(uint{codec.text[1:]}_t)" if codec.text[0] == "i" else ""
            yield f"lc_put_u{codec.text[1:]}(w, {cast}{value});"
        case Flag():
            yield f"lc_put_u8(w, {value} ? 1u : 0u);"
        case Choice():
            yield f"lc_put_choice(w, {value}, known_{snake(codec.members.__name__)}({value}));"
        case Text():
            yield f"lc_put_text(w, {value}, {value}_length, {codec.limit}u);"
        case Blob():
            yield f"lc_put_blob(w, {value}, {value}_length, {codec.limit}u);"
        case Rest():
            yield f"lc_put_rest(w, {value}, {value}_length, {codec.limit}u);"
        case Many():
            yield f"lc_put_count(w, {value}_count, {codec.limit}u);"
            yield f"for (i = 0; i < {value}_count && !w->failed; i++) {{"
            yield from (f"    {line}" for line in _put(codec.element, f"{value}[i]"))
            yield "}"
        case Layout():
            yield f"put_{snake(codec.name)}(w, &{value});"
        case _:
            raise TypeError(codec.text)


def _get(codec: Codec, value: str) -> Iterator[str]:
    match codec:
        case Scalar():
            cast = f"(int{codec.text[1:]}_t)" if codec.text[0] == "i" else ""
            yield f"{value} = {cast}lc_get_u{codec.text[1:]}(r);"
        case Flag():
            yield f"{value} = lc_get_bool(r);"
        case Choice():
            yield f"{value} = lc_get_u8(r);"
            yield f"lc_expect(r, known_{snake(codec.members.__name__)}({value}));"
        case Text():
            yield f"{value}_length = lc_get_text(r, {value}, {codec.limit}u);"
        case Blob():
            yield f"{value}_length = lc_get_blob(r, {value}, {codec.limit}u);"
        case Rest():
            yield f"{value}_length = lc_get_rest(r, {value}, {codec.limit}u);"
        case Many():
            yield f"{value}_count = lc_get_count(r, {codec.limit}u);"
            yield f"for (i = 0; i < {value}_count && !r->failed; i++) {{"
            yield from (f"    {line}" for line in _get(codec.element, f"{value}[i]"))
            yield "}"
        case Layout():
            yield f"get_{snake(codec.name)}(r, &{value});"
        case _:
            raise TypeError(codec.text)


def _records() -> Iterator[str]:
    for layout in layouts():
        if not layout.fields:
            continue
        name = snake(layout.name)
        loop = ["    uint8_t i;", ""] if any(isinstance(codec, Many) for _, codec in layout.fields) else []
        yield f"static void put_{name}(lc_writer *w, const lc_{name} *m)"
        yield "{"
        yield from loop
        for field, codec in layout.fields:
            yield from (f"    {line}" for line in _put(codec, f"m->{field}"))
        yield "}"
        yield ""
        yield f"static void get_{name}(lc_reader *r, lc_{name} *m)"
        yield "{"
        yield from loop
        for field, codec in layout.fields:
            yield from (f"    {line}" for line in _get(codec, f"m->{field}"))
        yield "}"
        yield ""


def _public() -> Iterator[str]:
    for name in map(snake, codec_names()):
        yield f"""int lc_encode_{name}(const lc_{name} *message, uint8_t *out, size_t size)
{{
    lc_writer w = {{out, size, 0, false}};

    put_{name}(&w, message);
    return w.failed ? -1 : (int)w.used;
}}

bool lc_decode_{name}(lc_{name} *message, const uint8_t *payload, size_t length, size_t *at)
{{
    lc_reader r = {{payload, length, 0, false}};

    get_{name}(&r, message);
    *at = r.at;
    return !r.failed;
}}
"""


def _commands() -> Iterator[str]:
    yield "lc_decoding lc_decode_command(lc_command *command, uint8_t id, const uint8_t *payload, size_t length,"
    yield "                              size_t *at)"
    yield "{"
    yield "    lc_reader r = {payload, length, 0, false};"
    yield ""
    yield "    *at = 0;"
    yield "    command->id = id;"
    yield "    switch (id) {"
    for spec in m.TABLE:
        if spec.kind is Kind.CMD:
            yield f"    case LC_ID_{constant(spec.name)}:"
            if spec.layout.fields:
                yield f"        get_{snake(spec.name)}(&r, &command->as.{snake(spec.name)});"
            yield "        break;"
    yield "    default:"
    yield "        return LC_UNKNOWN_ID;"
    yield "    }"
    yield "    *at = r.at;"
    yield "    return r.failed ? LC_MALFORMED : LC_DECODED;"
    yield "}"
    yield ""


def codec_source() -> str:
    """The text of the file."""
    return "\n".join([
        NOTICE + '#include "lc_messages.h"', "", '#include "lc_bytes.h"', "",
        *_known(), *_records(), *_public(), *_commands(),
    ])  # fmt: skip
