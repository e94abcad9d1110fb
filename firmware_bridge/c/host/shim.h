/* SPDX-License-Identifier: 0BSD
 * The session behind plain functions, for callers in other languages: what its owner would be told is queued. */
#ifndef LC_HOST_SHIM_H
#define LC_HOST_SHIM_H

#include <stddef.h>
#include <stdint.h>

typedef struct shim shim;

typedef enum shim_kind { SHIM_UP, SHIM_DOWN, SHIM_COMMAND, SHIM_SPEECH } shim_kind;

typedef struct shim_event {
    uint8_t kind; /* shim_kind */
    uint8_t line;
    uint8_t id;      /* of a command; flags of speech; lc_down */
    uint8_t length;
    uint32_t number; /* of the session; counter of speech */
    uint8_t payload[256];
} shim_event;

shim *shim_new(uint64_t boot_id, uint8_t lines, uint32_t capabilities, const uint32_t *bauds, uint8_t baud_count);
void shim_free(shim *s);
void shim_start(shim *s, uint64_t now_ms);
void shim_receive(shim *s, const uint8_t *data, size_t length, uint64_t now_ms);
size_t shim_send(shim *s, uint8_t *out, uint64_t now_ms); /* `out` has 512 bytes */
uint64_t shim_next_timer(const shim *s);
void shim_on_timer(shim *s, uint64_t now_ms);
int shim_event_out(shim *s, uint8_t id, uint8_t line, const uint8_t *payload, int length);
int shim_next_event(shim *s, shim_event *event);

int shim_up(const shim *s);
uint32_t shim_number(const shim *s);
uint32_t shim_rate(const shim *s);
uint32_t shim_rate_fallbacks(const shim *s);
unsigned shim_waiting(const shim *s);
uint32_t shim_unknown(const shim *s);
uint32_t shim_lost_events(const shim *s);

/* The codec alone: a frame on the wire; an lc_verdict for each piece that ends; an lc_decoding of a command. */
size_t shim_frame(const uint8_t header[6], const uint8_t *payload, uint8_t length, uint8_t *out);
size_t shim_verdicts(const uint8_t *data, size_t length, uint8_t *out);
int shim_command(uint8_t id, const uint8_t *payload, size_t length, size_t *at);
uint32_t shim_schema(void);

/* A loop whose current changes at these times, from none, looked at each millisecond until `end_ms`. Writes what it
 * meant to `out`, "L12 1@30 F100@400 R900 " (lifted, digit, flash, replaced, at), ended by a zero; false: no room. */
int shim_loop(const uint32_t *changes_ms, size_t count, uint32_t end_ms, char *out, size_t size);

#endif
