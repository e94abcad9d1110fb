/* SPDX-License-Identifier: 0BSD */
#include "lc_cobs.h"

#define BLOCK 254u

size_t lc_cobs_stuff(const uint8_t *data, size_t length, uint8_t *out)
{
    size_t code_at = 0;
    size_t used = 1;
    uint8_t run = 0;
    size_t i;

    for (i = 0; i < length; i++) {
        if (data[i] != 0) {
            out[used++] = data[i];
            run++;
        }
        if (data[i] == 0 || run == BLOCK) {
            out[code_at] = (uint8_t)(run + 1u);
            code_at = used++;
            run = 0;
        }
    }
    out[code_at] = (uint8_t)(run + 1u);
    return used;
}

size_t lc_cobs_unstuff(uint8_t *data, size_t length)
{
    size_t at = 0;
    size_t used = 0;

    while (at < length) {
        uint8_t code = data[at++];
        uint8_t left;

        if (code == 0 || length - at < (size_t)(code - 1u)) {
            return SIZE_MAX;
        }
        for (left = (uint8_t)(code - 1u); left > 0; left--) {
            data[used++] = data[at++];
        }
        if (code <= BLOCK && at < length) {
            data[used++] = 0;
        }
    }
    return used;
}
