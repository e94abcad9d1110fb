/* SPDX-License-Identifier: 0BSD
 * Frames on the wire: header, payload and CRC-16, stuffed with COBS and ended by a zero byte. */
#ifndef LC_FRAME_H
#define LC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lc_messages.h"

#define LC_FRAME_BYTES (LC_MAX_ENCODED + 1) /* room for any frame and its delimiter */

typedef struct lc_frame {
    uint8_t kind; /* lc_kind */
    uint8_t line;
    uint8_t flags;
    uint8_t seq;
    uint8_t ack;
    uint8_t id;
    uint8_t length;
    const uint8_t *payload; /* of a received frame: valid until the next byte is given to the decoder */
} lc_frame;

/* Writes a frame and its delimiter; gives how many bytes, 0 where a field does not fit or `size` is too small. */
size_t lc_frame_encode(const lc_frame *frame, uint8_t *out, size_t size);

/* What a byte has ended. */
typedef enum lc_verdict {
    LC_PENDING,       /* nothing: the frame goes on, or there was none */
    LC_FRAME_GOOD,
    LC_FRAME_COBS,    /* stuffing that leads beyond its end */
    LC_FRAME_CRC,
    LC_FRAME_SHORT,   /* no room for header and CRC, or longer than any body */
    LC_FRAME_OVERRUN  /* longer than any frame */
} lc_verdict;

typedef struct lc_decoder {
    uint8_t buffer[LC_MAX_ENCODED];
    uint16_t used;
    bool skipping;
    uint32_t frames;
    uint32_t cobs_errors;
    uint32_t crc_errors;
    uint32_t too_short;
    uint32_t overruns;
} lc_decoder;

void lc_decoder_init(lc_decoder *decoder);

/* Forgets half a frame: what follows comes at another rate. */
void lc_decoder_restart(lc_decoder *decoder);

/* Takes one byte; fills `frame` where the verdict is LC_FRAME_GOOD. */
lc_verdict lc_decoder_byte(lc_decoder *decoder, uint8_t byte, lc_frame *frame);

#endif
