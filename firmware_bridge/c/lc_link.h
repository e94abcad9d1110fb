/* SPDX-License-Identifier: 0BSD
 * The reliable half of the link, both ways: frames in order, exactly once.
 *
 * Go-back-N: an 8-bit sequence number, a cumulative acknowledgement (the number expected next), a negative one at a
 * gap, and a retransmission timer after RFC 6298. Times are milliseconds of a clock that never goes back. */
#ifndef LC_LINK_H
#define LC_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lc_messages.h"

#ifndef LC_QUEUE_FRAMES
#define LC_QUEUE_FRAMES 32 /* reliable frames that wait or fly; a power of two, at least 16 */
#endif

#define LC_SLOT_BYTES LC_MAX_EVENT /* the longest payload that a card sends reliably */
#if LC_SLOT_BYTES < LC_MAX_RESULT + 2
#error "a reply must fit a slot"
#endif

typedef struct lc_slot {
    uint64_t sent_ms;
    uint8_t kind;
    uint8_t line;
    uint8_t id;
    uint8_t seq;
    uint8_t sends;
    uint8_t length;
    uint8_t payload[LC_SLOT_BYTES];
} lc_slot;

typedef struct lc_sender {
    lc_slot slots[LC_QUEUE_FRAMES];
    uint8_t first;  /* the oldest slot */
    uint8_t count;  /* slots in use, of which the oldest ... */
    uint8_t flying; /* ... are on their way, of which the oldest ... */
    uint8_t again;  /* ... need no repetition now */
    uint8_t window;
    uint8_t next_seq;
    uint8_t unheeded;
    bool measured;
    uint32_t rto_ms;
    uint32_t srtt_x8;
    uint32_t rttvar_x4;
    uint32_t retransmissions;
} lc_sender;

void lc_sender_init(lc_sender *sender);

/* Never have more than `window` frames unacknowledged. */
void lc_sender_use_window(lc_sender *sender, uint8_t window);

/* Queues a frame; gives its sequence number, -1 where it is too long or LC_QUEUE_FRAMES wait already. */
int lc_sender_offer(lc_sender *sender, uint8_t kind, uint8_t line, uint8_t id, const uint8_t *payload, size_t length);

/* The next frame for the wire, NULL while the window is full or nothing waits. */
const lc_slot *lc_sender_take(lc_sender *sender, uint64_t now_ms);

/* Forgets what the other end has: everything before `expected`. A number outside the window is ignored. */
void lc_sender_acknowledge(lc_sender *sender, uint8_t expected, uint64_t now_ms);

/* Puts everything that is unacknowledged on the wire again. */
void lc_sender_rewind(lc_sender *sender);

/* When the oldest unacknowledged frame is due again, UINT64_MAX where none is. */
uint64_t lc_sender_deadline(const lc_sender *sender);

/* Repeats what is overdue; false where the other end, last heard at `heard_ms`, speaks and heeds nothing:
 * LC_MAX_SENDS sends without progress, after each of which it spoke. Sends into silence do not count. */
bool lc_sender_expire(lc_sender *sender, uint64_t now_ms, uint64_t heard_ms);

/* The smoothed round trip in milliseconds, 0 before the first measurement. */
uint32_t lc_sender_rtt_ms(const lc_sender *sender);

typedef enum lc_arrival { LC_ARRIVAL_NEW, LC_ARRIVAL_DUPLICATE, LC_ARRIVAL_GAP } lc_arrival;

typedef struct lc_receiver {
    uint8_t expected;
    bool complained;
    uint32_t gaps;
    uint32_t duplicates;
} lc_receiver;

void lc_receiver_init(lc_receiver *receiver);

/* Judges a frame by its number; only a new one may be acted upon. */
lc_arrival lc_receiver_arrive(lc_receiver *receiver, uint8_t seq);

/* Whether to send a NAK for this gap: once, the sender's timer does the rest. */
bool lc_receiver_complain(lc_receiver *receiver);

#endif
