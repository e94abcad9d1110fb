/* SPDX-License-Identifier: 0BSD
 * CRC-16 of the frames: polynomial 0x1021, initial value 0xFFFF, not reflected, no final XOR. */
#ifndef LC_CRC_H
#define LC_CRC_H

#include <stddef.h>
#include <stdint.h>

uint16_t lc_crc16(const uint8_t *data, size_t length);

#endif
