/* SPDX-License-Identifier: 0BSD
 * The sound of data on an analogue line: 1200 bit/s, ITU-T V.23 or Bell 202. */
#ifndef LC_HOST_MODEM_H
#define LC_HOST_MODEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lc_messages.h"

typedef struct modem {
    lc_cid_send order;
    bool off_hook;
    bool sounds;
    uint32_t at; /* samples since it began */
    double phase;
} modem;

/* Begins to send, or stops where `order` is NULL. */
void modem_send(modem *m, const lc_cid_send *order, bool off_hook);

/* The next sample. */
int16_t modem_sample(modem *m);

#endif
