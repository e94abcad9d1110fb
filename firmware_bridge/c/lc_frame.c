/* SPDX-License-Identifier: 0BSD */
#include "lc_frame.h"

#include <string.h>

#include "lc_cobs.h"
#include "lc_crc.h"

size_t lc_frame_encode(const lc_frame *frame, uint8_t *out, size_t size)
{
    uint8_t body[LC_MAX_BODY];
    size_t length = (size_t)LC_HEADER_BYTES + frame->length;
    size_t used;
    uint16_t crc;

    if (frame->kind > 7 || frame->line > 7 || frame->flags > 3 || frame->length > LC_MAX_PAYLOAD
        || size < LC_FRAME_BYTES) {
        return 0;
    }
    body[0] = (uint8_t)((frame->kind << 5) | (frame->line << 2) | frame->flags);
    body[1] = frame->seq;
    body[2] = frame->ack;
    body[3] = frame->id;
    if (frame->length > 0) {
        memcpy(body + LC_HEADER_BYTES, frame->payload, frame->length);
    }
    crc = lc_crc16(body, length);
    body[length++] = (uint8_t)(crc & 0xFFu);
    body[length++] = (uint8_t)(crc >> 8);
    used = lc_cobs_stuff(body, length, out);
    out[used++] = 0;
    return used;
}

void lc_decoder_init(lc_decoder *decoder)
{
    memset(decoder, 0, sizeof *decoder);
}

void lc_decoder_restart(lc_decoder *decoder)
{
    decoder->used = 0;
    decoder->skipping = false;
}

static lc_verdict judge(lc_decoder *decoder, lc_frame *frame)
{
    uint8_t *body = decoder->buffer;
    size_t length = lc_cobs_unstuff(body, decoder->used);
    uint16_t crc;

    if (length == SIZE_MAX) {
        decoder->cobs_errors++;
        return LC_FRAME_COBS;
    }
    if (length < LC_HEADER_BYTES + LC_CRC_BYTES || length > LC_MAX_BODY) {
        decoder->too_short++;
        return LC_FRAME_SHORT;
    }
    length -= LC_CRC_BYTES;
    crc = (uint16_t)(body[length] | (body[length + 1] << 8));
    if (lc_crc16(body, length) != crc) {
        decoder->crc_errors++;
        return LC_FRAME_CRC;
    }
    decoder->frames++;
    frame->kind = (uint8_t)(body[0] >> 5);
    frame->line = (uint8_t)((body[0] >> 2) & 7u);
    frame->flags = (uint8_t)(body[0] & 3u);
    frame->seq = body[1];
    frame->ack = body[2];
    frame->id = body[3];
    frame->length = (uint8_t)(length - LC_HEADER_BYTES);
    frame->payload = body + LC_HEADER_BYTES;
    return LC_FRAME_GOOD;
}

lc_verdict lc_decoder_byte(lc_decoder *decoder, uint8_t byte, lc_frame *frame)
{
    lc_verdict verdict = LC_PENDING;

    if (byte != 0) {
        if (decoder->skipping) {
            return LC_PENDING;
        }
        if (decoder->used == LC_MAX_ENCODED) {
            decoder->skipping = true;
            decoder->overruns++;
            return LC_FRAME_OVERRUN;
        }
        decoder->buffer[decoder->used++] = byte;
        return LC_PENDING;
    }
    if (!decoder->skipping && decoder->used > 0) {
        verdict = judge(decoder, frame);
    }
    lc_decoder_restart(decoder);
    return verdict;
}
