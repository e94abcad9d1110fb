/* SPDX-License-Identifier: 0BSD
 * Lifted, replaced, flashed or dialled: what the current in a loop means, told apart by how long it was away.
 *
 * For chips that only say whether current flows. A break of at most `pulse_break_max_ms` is a dial pulse, one between
 * `flash_min_ms` and `flash_max_ms` a flash (register recall), a longer one a handset that was replaced, which is
 * therefore known only after `flash_max_ms`; its time is that of the break. Dial pulses: 1 to 10, 10 is `0`. */
#ifndef LC_HOOK_H
#define LC_HOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "lc_messages.h"

typedef struct lc_hook_times {
    uint16_t debounce_ms;
    uint16_t pulse_break_max_ms;
    uint16_t pulse_interdigit_ms; /* so long closed again: the digit is complete */
    uint16_t flash_min_ms;
    uint16_t flash_max_ms;
} lc_hook_times;

/* For a line whose profile the host has not set. */
extern const lc_hook_times LC_HOOK_DEFAULTS;

typedef enum lc_hook_what { LC_HOOK_NOTHING, LC_HOOK_LIFTED, LC_HOOK_REPLACED, LC_HOOK_FLASHED, LC_HOOK_DIALLED } lc_hook_what;

typedef struct lc_hook_news {
    lc_hook_what what;
    char digit;
    uint16_t ms;    /* of a flash */
    uint64_t at_ms; /* when it happened; of a digit: its first pulse; of a flash: its end */
} lc_hook_news;

typedef struct lc_hook {
    lc_hook_times times;
    bool seen;           /* the last sample, and since when it has not changed */
    uint64_t seen_ms;
    bool closed;         /* debounced, and since when */
    uint64_t closed_ms;
    bool off_hook;       /* what was told */
    uint8_t pulses;
    uint64_t first_pulse_ms;
} lc_hook;

void lc_hook_init(lc_hook *hook, const lc_hook_times *times);

/* Whether current flows now; to be told at least every few milliseconds, also where nothing has changed. */
lc_hook_news lc_hook_sample(lc_hook *hook, bool current, uint64_t now_ms);

#endif
