/* SPDX-License-Identifier: 0BSD
 * Reads any payload of the message table and writes it again. */
#ifndef LC_RECODE_H
#define LC_RECODE_H

#include <stddef.h>
#include <stdint.h>

#include "../lc_messages.h"

/* `name` is that of the message or result in the table. Gives the length of what was written to `out`; -1 where the
 * payload is malformed, `*at` then says at which byte; -2 where there is no such message. */
int lc_recode(const char *name, const uint8_t *payload, size_t length, uint8_t *out, size_t size, size_t *at);

/* The payload of a command that was read; its length, -1 where it does not fit. */
int lc_encode_command(const lc_command *command, uint8_t *out, size_t size);

#endif
