/* SPDX-License-Identifier: 0BSD
 * The card's end of the link, without any input or output: bytes and the time in, bytes and calls of its owner out.
 *
 * It answers HELLO and says that it has no session while it has none, keeps the host's lease, follows SET_BAUD and
 * falls back, answers PING, NAKs gaps, and refuses what it does not know. `now_ms`: a clock that never goes back. */
#ifndef LC_SESSION_H
#define LC_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lc_frame.h"
#include "lc_link.h"

#ifndef LC_LINES
#define LC_LINES 2 /* lines that this firmware has room for */
#endif
#define LC_PONG_QUEUE 4
#define LC_LOG_BYTES 40
#define LC_LOG_QUEUE 4
#define LC_REFUSAL_BYTES 32

/* Room for whatever lc_session_send may write. */
#define LC_SEND_BYTES (2 + LC_FRAME_BYTES)

/* What a card says of itself; the texts must outlive the session. `boot_id`: random, not 0, new at each start. */
typedef struct lc_identity {
    uint64_t boot_id;
    uint32_t capabilities;   /* bits of lc_capability */
    uint8_t lines;           /* 1 to LC_MAX_LINES */
    uint8_t reset_cause;     /* lc_reset_cause */
    const uint32_t *bauds;
    uint8_t baud_count;      /* at most 8 */
    const char *firmware;    /* at most 32 bytes */
    const char *hardware;    /* at most 32 bytes */
} lc_identity;

typedef enum lc_down {
    LC_DOWN_SILENT,         /* the lease has run out */
    LC_DOWN_UNACKNOWLEDGED, /* the host speaks, but heeds nothing */
    LC_DOWN_REPLACED,       /* the host opened a new session */
    LC_DOWN_CLOSED          /* the card gave it up */
} lc_down;

/* The result of a command, as packed by lc_encode_x. */
typedef struct lc_result {
    uint8_t length;
    uint8_t bytes[LC_MAX_RESULT];
} lc_result;

/* Answer of `command` for one that will never be answered: the card restarts. */
#define LC_NO_REPLY 255

typedef struct lc_owner {
    void *context;
    /* A session begins: tell the state of every line with events. */
    void (*up)(void *context, uint64_t now_ms);
    /* It ended: every line must become idle by itself. */
    void (*down)(void *context, lc_down reason, uint64_t now_ms);
    /* Carry out a command and give its lc_status; what takes long is told by an event when it has ended. */
    uint8_t (*command)(void *context, uint8_t line, const lc_command *command, lc_result *result, uint64_t now_ms);
    /* A frame of speech for a line, which may not exist. */
    void (*speech)(void *context, uint8_t line, uint32_t counter, uint8_t flags, const uint8_t *data, size_t length);
} lc_owner;

typedef struct lc_speech {
    uint32_t counter;
    uint8_t line;
    uint8_t flags;
    uint8_t data[LC_AUDIO_BYTES];
} lc_speech;

typedef struct lc_log_entry {
    uint8_t level;
    uint8_t length;
    char text[LC_LOG_BYTES];
} lc_log_entry;

typedef struct lc_session {
    lc_decoder decoder;
    lc_sender sender;
    lc_receiver receiver;
    lc_identity identity;
    lc_owner owner;

    bool up;
    uint32_t number;          /* of the session, 0: none */
    uint64_t heard_ms;
    uint32_t silence_ms;      /* the lease */
    uint8_t lease_action;     /* lc_lease_action, of the last session while there is none */

    uint64_t cry_ms;
    bool cry_due;
    bool delimiter_due;
    bool hello_ack_due;
    uint32_t hello_ack_number;
    bool nak_due;
    bool ack_due;
    uint8_t pong_first, pong_count;
    uint32_t pong_sender[LC_PONG_QUEUE];
    uint32_t pong_own[LC_PONG_QUEUE];
    uint8_t audio_count;
    uint8_t audio_run; /* frames of speech since the last of what must arrive */
    lc_speech audio[LC_LINES * LC_AUDIO_QUEUE];
    uint8_t log_first, log_count;
    lc_log_entry log[LC_LOG_QUEUE];

    uint32_t rate;
    uint32_t rate_before;
    uint32_t rate_agreed;     /* 0: none */
    uint8_t rate_seq;         /* of the reply after which it holds */
    uint64_t rate_until_ms;   /* for the first valid frame, UINT64_MAX: no hurry */

    uint32_t sessions;
    uint32_t rate_fallbacks;
    uint32_t unknown;
    uint32_t malformed;
    uint32_t audio_in;
    uint32_t audio_out;
    uint32_t audio_dropped;
    uint32_t retransmissions; /* these three of past sessions, see lc_session_retransmissions */
    uint32_t gaps;
    uint32_t duplicates;
} lc_session;

void lc_session_init(lc_session *session, const lc_identity *identity, const lc_owner *owner);

/* The card has started: say so. */
void lc_session_start(lc_session *session, uint64_t now_ms);

/* Takes bytes as they come, in pieces of any size. */
void lc_session_receive(lc_session *session, const uint8_t *data, size_t length, uint64_t now_ms);

/* The next bytes for the wire, most urgent first; 0: nothing to say. `out` has LC_SEND_BYTES. They are to be sent at
 * the rate that the session had before the call, what comes after them at the one it has then. */
size_t lc_session_send(lc_session *session, uint8_t *out, uint64_t now_ms);

/* When lc_session_on_timer wants to be called next. Calling it early or often does no harm. */
uint64_t lc_session_next_timer(const lc_session *session);
void lc_session_on_timer(lc_session *session, uint64_t now_ms);

/* Queues an event, packed by lc_encode_x; false where there is no session or too much waits: the status heals it. */
bool lc_session_event(lc_session *session, uint8_t id, uint8_t line, const uint8_t *payload, int length);

/* Queues a frame of speech of LC_AUDIO_BYTES; of each line at most LC_AUDIO_QUEUE wait, the oldest is dropped. */
void lc_session_speech(lc_session *session, uint8_t line, uint32_t counter, uint8_t flags, const uint8_t *data);

/* Queues a line for the host's log, cut to LC_LOG_BYTES; lost where too many wait. `level` as in syslog. */
void lc_session_log(lc_session *session, uint8_t level, const char *text);

/* Gives the session up without a word. */
void lc_session_close(lc_session *session, uint64_t now_ms);

/* Frames sent again and gaps met, over all sessions. */
uint32_t lc_session_retransmissions(const lc_session *session);
uint32_t lc_session_gaps(const lc_session *session);

#endif
