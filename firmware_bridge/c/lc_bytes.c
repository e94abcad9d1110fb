/* SPDX-License-Identifier: 0BSD */
#include "lc_bytes.h"

#include <string.h>

static void put_le(lc_writer *w, uint64_t value, size_t octets)
{
    size_t i;

    if (w->failed || w->size - w->used < octets) {
        w->failed = true;
        return;
    }
    for (i = 0; i < octets; i++) {
        w->out[w->used++] = (uint8_t)(value >> (8u * i));
    }
}

void lc_put_u8(lc_writer *w, uint8_t value)
{
    put_le(w, value, 1);
}

void lc_put_u16(lc_writer *w, uint16_t value)
{
    put_le(w, value, 2);
}

void lc_put_u32(lc_writer *w, uint32_t value)
{
    put_le(w, value, 4);
}

void lc_put_u64(lc_writer *w, uint64_t value)
{
    put_le(w, value, 8);
}

void lc_put_choice(lc_writer *w, uint8_t value, bool known)
{
    if (!known) {
        w->failed = true;
    }
    lc_put_u8(w, value);
}

void lc_put_count(lc_writer *w, uint8_t count, uint8_t limit)
{
    lc_put_choice(w, count, count <= limit);
}

void lc_put_rest(lc_writer *w, const uint8_t *bytes, uint8_t length, uint8_t limit)
{
    if (w->failed || length > limit || w->size - w->used < length) {
        w->failed = true;
        return;
    }
    memcpy(w->out + w->used, bytes, length);
    w->used += length;
}

void lc_put_blob(lc_writer *w, const uint8_t *bytes, uint8_t length, uint8_t limit)
{
    lc_put_count(w, length, limit);
    lc_put_rest(w, bytes, length, limit);
}

void lc_put_text(lc_writer *w, const char *text, uint8_t length, uint8_t limit)
{
    const uint8_t *bytes = (const uint8_t *)text;

    if (length > limit || !lc_is_utf8(bytes, length)) {
        w->failed = true;
    }
    lc_put_blob(w, bytes, length, limit);
}

static uint64_t get_le(lc_reader *r, size_t octets)
{
    uint64_t value = 0;
    size_t i;

    if (r->failed || r->length - r->at < octets) {
        r->failed = true;
        return 0;
    }
    for (i = 0; i < octets; i++) {
        value |= (uint64_t)r->data[r->at++] << (8u * i);
    }
    return value;
}

uint8_t lc_get_u8(lc_reader *r)
{
    return (uint8_t)get_le(r, 1);
}

uint16_t lc_get_u16(lc_reader *r)
{
    return (uint16_t)get_le(r, 2);
}

uint32_t lc_get_u32(lc_reader *r)
{
    return (uint32_t)get_le(r, 4);
}

uint64_t lc_get_u64(lc_reader *r)
{
    return get_le(r, 8);
}

void lc_expect(lc_reader *r, bool right)
{
    if (!r->failed && !right) {
        r->failed = true;
        r->at--;
    }
}

bool lc_get_bool(lc_reader *r)
{
    uint8_t value = lc_get_u8(r);

    lc_expect(r, value <= 1);
    return value == 1;
}

uint8_t lc_get_count(lc_reader *r, uint8_t limit)
{
    uint8_t count = lc_get_u8(r);

    lc_expect(r, count <= limit);
    return r->failed ? 0 : count;
}

static uint8_t get_bytes(lc_reader *r, uint8_t *bytes, uint8_t length)
{
    if (r->failed || r->length - r->at < length) {
        r->failed = true;
        return 0;
    }
    memcpy(bytes, r->data + r->at, length);
    r->at += length;
    return length;
}

uint8_t lc_get_blob(lc_reader *r, uint8_t *bytes, uint8_t limit)
{
    return get_bytes(r, bytes, lc_get_count(r, limit));
}

uint8_t lc_get_text(lc_reader *r, char *text, uint8_t limit)
{
    size_t start = r->at;
    uint8_t length = lc_get_blob(r, (uint8_t *)text, limit);

    if (!r->failed && !lc_is_utf8((const uint8_t *)text, length)) {
        r->failed = true;
        r->at = start;
        return 0;
    }
    return length;
}

uint8_t lc_get_rest(lc_reader *r, uint8_t *bytes, uint8_t limit)
{
    size_t left = r->length - r->at;

    if (r->failed || left > limit) {
        r->failed = true;
        return 0;
    }
    return get_bytes(r, bytes, (uint8_t)left);
}

bool lc_is_utf8(const uint8_t *bytes, size_t length)
{
    size_t i = 0;

    while (i < length) {
        uint8_t first = bytes[i++];
        uint8_t low = 0x80u;
        uint8_t high = 0xBFu;
        uint8_t more;

        if (first < 0x80u) {
            continue;
        }
        if (first >= 0xC2u && first <= 0xDFu) {
            more = 1;
        } else if (first >= 0xE0u && first <= 0xEFu) {
            more = 2;
            low = first == 0xE0u ? 0xA0u : low;
            high = first == 0xEDu ? 0x9Fu : high;
        } else if (first >= 0xF0u && first <= 0xF4u) {
            more = 3;
            low = first == 0xF0u ? 0x90u : low;
            high = first == 0xF4u ? 0x8Fu : high;
        } else {
            return false;
        }
        for (; more > 0; more--) {
            if (i == length || bytes[i] < low || bytes[i] > high) {
                return false;
            }
            i++;
            low = 0x80u;
            high = 0xBFu;
        }
    }
    return true;
}
