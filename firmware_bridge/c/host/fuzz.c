/* SPDX-License-Identifier: 0BSD
 * Nonsense for the device, to be built with sanitizers:
 *
 *     fuzz FRAMES SEED
 *
 * Well-framed frames that mean anything, damaged ones, and noise; sessions are opened again and again, so that the
 * nonsense reaches what is behind them. Prints counters; ends with 1 where what must always hold does not, or the device
 * no longer answers a HELLO. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lc_line.h"

static lc_device device;
static uint64_t chance;
static const uint32_t BAUDS[] = {115200, 1000000};

static uint32_t draw(void)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (uint32_t)(chance >> 16);
}

static void no_fsk(void *context, uint8_t line, const lc_cid_send *order, bool off_hook)
{
    (void)context, (void)line, (void)order, (void)off_hook;
}

static void no_ring(void *context, uint8_t line, bool on)
{
    (void)context, (void)line, (void)on;
}

static void no_oscillators(void *context, uint8_t line, const uint16_t *hz, uint8_t count, int8_t level_dbm0)
{
    uint32_t sum = 0;
    uint8_t i;

    (void)context, (void)line, (void)level_dbm0;
    for (i = 0; i < count; i++) {
        sum += hz[i];
    }
    chance += sum & 1u; /* Every value that is given is looked at. */
}

static void no_speech(void *context, uint8_t line, const lc_audio_start *order)
{
    (void)context, (void)line, (void)order;
}

static void no_play(void *context, uint8_t line, const uint8_t *codes)
{
    (void)context, (void)line;
    chance += codes != NULL ? codes[LC_AUDIO_BYTES - 1] & 1u : 0u;
}

static void no_record(void *context, uint8_t line, uint8_t *codes)
{
    (void)context, (void)line;
    memset(codes, 0xD5, LC_AUDIO_BYTES);
}

static uint8_t no_test(void *context, uint8_t line, uint16_t tests)
{
    (void)context, (void)line;
    return tests == 0 ? LC_STATUS_INVALID : LC_STATUS_OK;
}

static void no_test_abort(void *context, uint8_t line)
{
    (void)context, (void)line;
}

static void give(const lc_frame *frame, bool damaged, uint64_t now_ms)
{
    uint8_t out[LC_FRAME_BYTES];
    size_t length = lc_frame_encode(frame, out, sizeof out);

    if (damaged && length > 0) {
        out[draw() % length] = (uint8_t)draw();
    }
    lc_device_receive(&device, out, length, now_ms);
}

static void give_hello(uint32_t number, uint64_t now_ms)
{
    uint8_t payload[LC_MAX_PAYLOAD];
    lc_hello hello = {LC_PROTOCOL_MAJOR, LC_PROTOCOL_MINOR, LC_SCHEMA_HASH, number, LC_MAX_PAYLOAD, LC_WINDOW, 1, "t"};
    lc_frame frame = {LC_KIND_LINK, 0, 0, 0, 0, LC_ID_HELLO, 0, payload};
    uint8_t zero = 0;

    frame.length = (uint8_t)lc_encode_hello(&hello, payload, sizeof payload);
    lc_device_receive(&device, &zero, 1, now_ms);
    give(&frame, false, now_ms);
}

static void give_nonsense(uint64_t now_ms)
{
    static const uint8_t LENGTHS[] = {0, 1, 4, 8, 10, 24, 60, 85, 244};
    uint8_t bytes[256];
    uint32_t what = draw() % 10;
    size_t i;

    for (i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(draw() % 3 == 0 ? draw() % 4 : draw());
    }
    if (what < 7) {
        lc_frame frame = {0, 0, 0, 0, 0, 0, 0, bytes};

        frame.kind = (uint8_t)(what < 4 ? LC_KIND_CMD : draw() % 8);
        frame.line = (uint8_t)(draw() % 4 == 0 ? draw() % 8 : draw() % 2);
        frame.flags = (uint8_t)(draw() % 4);
        frame.seq = draw() % 4 == 0 ? (uint8_t)draw() : device.session.receiver.expected;
        frame.ack = draw() % 4 == 0 ? (uint8_t)draw() : device.session.sender.next_seq;
        frame.id = (uint8_t)(draw() % 4 == 0 ? draw() : draw() % 0x75);
        frame.length = LENGTHS[draw() % sizeof LENGTHS];
        give(&frame, draw() % 4 == 0, now_ms);
    } else {
        size_t length = draw() % 40;

        if (draw() % 2 == 0) {
            bytes[length++] = 0;
        }
        lc_device_receive(&device, bytes, length, now_ms);
    }
}

/* What must hold whatever arrives. */
static bool sound(uint64_t now_ms)
{
    const lc_sender *sender = &device.session.sender;
    bool right = sender->flying <= sender->count && sender->count <= LC_QUEUE_FRAMES && sender->again <= sender->flying
                 && sender->flying <= sender->window && sender->window <= LC_WINDOW
                 && device.session.decoder.used <= LC_MAX_ENCODED && device.session.pong_count <= LC_PONG_QUEUE
                 && device.session.audio_count <= LC_LINES * LC_AUDIO_QUEUE;
    uint8_t i;

    for (i = 0; i < device.lines; i++) {
        const lc_caller *caller = &device.line[i].caller;

        right = right && device.line[i].playout.count <= LC_PLAYOUT_LIMIT && caller->phase <= LC_CALLER_TAIL
                && caller->order.message_length <= sizeof caller->order.message
                && (!device.line[i].tone.playing || device.line[i].tone.segment_ms <= now_ms)
                && (caller->phase == LC_CALLER_IDLE || !caller->off_hook || device.line[i].off_hook);
    }
    return right;
}

/* A tick that is late for what was ordered in the meantime must neither end a ringing nor run away with a rhythm. */
static bool late_tick(void)
{
    static const lc_tone_program BUSY = {-10, 2, {{1, {425, 0, 0, 0}, 500}, {0, {0, 0, 0, 0}, 500}}, false};
    lc_ring_start ring;

    memset(&ring, 0, sizeof ring);
    ring.cadence_ms_count = 2;
    ring.cadence_ms[0] = 1000;
    ring.cadence_ms[1] = 4000;
    ring.max_ms = 2000;
    (void)lc_line_play(&device, 0, &BUSY, 0, 1000);
    (void)lc_line_ring(&device, 1, &ring, 1000);
    lc_device_tick(&device, 950);
    return device.line[0].tone.segment_ms == 1000 && device.line[1].ringer.ringing;
}

int main(int argc, char **argv)
{
    lc_hal hal = {0};
    lc_identity identity = {7, LC_CAPABILITY_BAUD_SWITCH, 2, LC_RESET_CAUSE_POWER_ON, BAUDS, 2, "f", "h"};
    unsigned long frames = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
    uint8_t out[LC_SEND_BYTES];
    uint64_t now_ms = 0;
    unsigned long number;

    chance = (argc > 2 ? strtoul(argv[2], NULL, 10) : 1) * 2654435761u + 88172645463325252u;
    hal.ring = no_ring;
    hal.oscillators = no_oscillators;
    hal.speech = no_speech;
    hal.play = no_play;
    hal.record = no_record;
    hal.fsk = no_fsk;
    hal.test = no_test;
    hal.test_abort = no_test_abort;
    lc_device_init(&device, &identity, &hal, 0);
    if (!late_tick()) {
        (void)fprintf(stderr, "a late tick spoils a tone or a ringing\n");
        return 1;
    }
    lc_device_init(&device, &identity, &hal, 0);
    for (number = 0; number < frames; number++) {
        now_ms += draw() % 2;
        if (number % 500 == 0) {
            give_hello((uint32_t)number + 1, now_ms);
        }
        give_nonsense(now_ms);
        if (!sound(now_ms)) {
            (void)fprintf(stderr, "after frame %lu the device is not sound\n", number);
            return 1;
        }
        if (number % 8 == 0) {
            /* A tick may be late for what was ordered in the meantime. */
            lc_device_tick(&device, now_ms - draw() % (now_ms < 64 ? now_ms + 1 : 64));
            while (lc_device_send(&device, out, now_ms) > 0) {
            }
            lc_device_hook(&device, (uint8_t)(draw() % 2), draw() % 2 == 0, now_ms * 1000u);
            lc_device_loop(&device, (uint8_t)(draw() % 2), draw() % 2 == 0, now_ms);
        }
    }
    give_hello(0xFFFFFFFFu, now_ms);
    (void)printf("frames %u sessions %u malformed %u unknown %u damaged %u\n", (unsigned)device.session.decoder.frames,
                 (unsigned)device.session.sessions, (unsigned)device.session.malformed,
                 (unsigned)device.session.unknown,
                 (unsigned)(device.session.decoder.crc_errors + device.session.decoder.cobs_errors
                            + device.session.decoder.too_short + device.session.decoder.overruns));
    return device.session.up && device.session.number == 0xFFFFFFFFu ? 0 : 1;
}
