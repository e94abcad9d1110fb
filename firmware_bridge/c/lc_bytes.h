/* SPDX-License-Identifier: 0BSD
 * Writing and reading the fields of a message: little-endian, every length bounded, a failure that sticks. */
#ifndef LC_BYTES_H
#define LC_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lc_writer {
    uint8_t *out;
    size_t size;
    size_t used;
    bool failed;
} lc_writer;

/* After a failure `at` stays where it happened. */
typedef struct lc_reader {
    const uint8_t *data;
    size_t length;
    size_t at;
    bool failed;
} lc_reader;

void lc_put_u8(lc_writer *w, uint8_t value);
void lc_put_u16(lc_writer *w, uint16_t value);
void lc_put_u32(lc_writer *w, uint32_t value);
void lc_put_u64(lc_writer *w, uint64_t value);
void lc_put_choice(lc_writer *w, uint8_t value, bool known);
void lc_put_count(lc_writer *w, uint8_t count, uint8_t limit);
void lc_put_blob(lc_writer *w, const uint8_t *bytes, uint8_t length, uint8_t limit);
void lc_put_text(lc_writer *w, const char *text, uint8_t length, uint8_t limit);
void lc_put_rest(lc_writer *w, const uint8_t *bytes, uint8_t length, uint8_t limit);

uint8_t lc_get_u8(lc_reader *r);
uint16_t lc_get_u16(lc_reader *r);
uint32_t lc_get_u32(lc_reader *r);
uint64_t lc_get_u64(lc_reader *r);
bool lc_get_bool(lc_reader *r);
uint8_t lc_get_count(lc_reader *r, uint8_t limit);
uint8_t lc_get_blob(lc_reader *r, uint8_t *bytes, uint8_t limit);
uint8_t lc_get_text(lc_reader *r, char *text, uint8_t limit);
uint8_t lc_get_rest(lc_reader *r, uint8_t *bytes, uint8_t limit);

/* Fails, at the byte that was just read, where it is not what it should be. */
void lc_expect(lc_reader *r, bool right);

/* Whether bytes are UTF-8 (RFC 3629): shortest form, no surrogates, at most U+10FFFF. */
bool lc_is_utf8(const uint8_t *bytes, size_t length);

#endif
