/* SPDX-License-Identifier: 0BSD
 * Consistent overhead byte stuffing (Cheshire and Baker, IEEE/ACM ToN 7(2), 1999): data without zero bytes. */
#ifndef LC_COBS_H
#define LC_COBS_H

#include <stddef.h>
#include <stdint.h>

/* Writes `data` without zeros and without a delimiter; at most length + length / 254 + 1 bytes. Gives how many. */
size_t lc_cobs_stuff(const uint8_t *data, size_t length, uint8_t *out);

/* Undoes it in place, `data` holds no zero byte. Gives how many bytes are left, SIZE_MAX where it is damaged. */
size_t lc_cobs_unstuff(uint8_t *data, size_t length);

#endif
