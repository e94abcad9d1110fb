/* SPDX-License-Identifier: 0BSD
 * The control channel: commands, one a line, and answers in JSON, one object a line. */
#ifndef LC_HOST_CONTROL_H
#define LC_HOST_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

struct board;

void control_ready(const struct board *b);
/* What happens from now on happened at `now_ms`; 0: when it is told. */
void control_at(uint64_t now_ms);
void control_event(uint8_t line, const char *what);
void control_error(const char *text);

/* Carries out a command; false where it was `quit`. `text` is cut to pieces. */
bool control_do(struct board *b, char *text);

#endif
