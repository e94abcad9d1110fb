"""host/recode.c: reads any payload of the table and writes it again, for the golden vectors."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_bridge import messages as m
from firmware_bridge.generate.c_header import NOTICE, codec_names
from firmware_bridge.generate.table import constant, snake
from firmware_bridge.vocabulary import Kind


def _cases() -> Iterator[str]:
    empty = [spec.record.__name__ for spec in m.TABLE if not spec.layout.fields]
    for name in codec_names():
        yield f'    if (strcmp(name, "{name}") == 0) {{'
        yield f"        lc_{snake(name)} message;"
        yield ""
        yield f"        return lc_decode_{snake(name)}(&message, payload, length, at)"
        yield f"                   ? lc_encode_{snake(name)}(&message, out, size) : -1;"
        yield "    }"
    for name in empty:
        yield f'    if (strcmp(name, "{name}") == 0) {{'
        yield "        return 0;"
        yield "    }"


def _commands() -> Iterator[str]:
    for spec in m.TABLE:
        if spec.kind is Kind.CMD and spec.layout.fields:
            yield f"    case LC_ID_{constant(spec.name)}:"
            yield f"        return lc_encode_{snake(spec.name)}(&command->as.{snake(spec.name)}, out, size);"


def recode_source() -> str:
    """The text of the file."""
    return "\n".join([
        NOTICE + '#include "recode.h"', "", "#include <string.h>", "",
        "int lc_recode(const char *name, const uint8_t *payload, size_t length, uint8_t *out, size_t size, size_t *at)",
        "{", "    *at = 0;", *_cases(), "    return -2;", "}", "",
        "int lc_encode_command(const lc_command *command, uint8_t *out, size_t size)",
        "{", "    switch (command->id) {", *_commands(), "    default:", "        return 0;", "    }", "}", "",
    ])  # fmt: skip
