/* SPDX-License-Identifier: 0BSD */
#include "lc_line.h"

#include <string.h>

#include "lc_caller.h"

#define NEVER UINT64_MAX
#define ALAW_SILENCE 0xD5u
#define SAMPLE_HALF 0x80000000u

void lc_line_init(lc_line *line)
{
    memset(line, 0, sizeof *line);
    line->linefeed = LC_LINEFEED_FORWARD_ACTIVE;
    lc_hook_init(&line->hook, &LC_HOOK_DEFAULTS);
}

void lc_line_note(lc_device *device, uint8_t line, const char *what)
{
    if (device->hal.note != NULL) {
        device->hal.note(device->hal.context, line, what);
    }
}

void lc_line_idle(lc_device *device, uint8_t line, uint64_t now_ms)
{
    lc_line_stop_ring(device, line, now_ms);
    lc_caller_stop(device, line, LC_DONE_RESULT_STOPPED, now_ms);
    device->line[line].caller.lamp_wanted = false;
    lc_line_stop_tone(device, line);
    lc_line_stop_talk(device, line);
    lc_line_abort_test(device, line, now_ms);
    if (device->hal.gain != NULL) {
        device->hal.gain(device->hal.context, line, 0, 0);
    }
    if (device->line[line].linefeed == LC_LINEFEED_REVERSE_ACTIVE && device->hal.linefeed != NULL
        && device->hal.linefeed(device->hal.context, line, LC_LINEFEED_FORWARD_ACTIVE)) {
        device->line[line].linefeed = LC_LINEFEED_FORWARD_ACTIVE;
    }
}

/* --- tests of the wires --- */

uint8_t lc_line_test_wires(lc_device *device, uint8_t line, const lc_line_test_start *order)
{
    lc_line *own = &device->line[line];
    uint8_t status;

    if (device->hal.test == NULL) {
        return LC_STATUS_UNSUPPORTED;
    }
    if (own->ringer.ringing || own->tone.playing || own->talking || own->testing != 0) {
        return LC_STATUS_BUSY;
    }
    if (own->off_hook && !order->closed_loop) {
        return LC_STATUS_OFF_HOOK;
    }
    status = device->hal.test(device->hal.context, line, order->tests);
    if (status == LC_STATUS_OK) {
        own->testing = order->tests;
        lc_line_note(device, line, "line test begins");
    }
    return status;
}

void lc_line_abort_test(lc_device *device, uint8_t line, uint64_t now_ms)
{
    lc_line *own = &device->line[line];
    lc_line_test_result_event result;
    uint8_t payload[LC_MAX_EVENT];
    uint16_t bit;

    if (own->testing == 0) {
        return;
    }
    device->hal.test_abort(device->hal.context, line);
    memset(&result, 0, sizeof result);
    result.t_us = now_ms * 1000u;
    result.status = LC_LINE_TEST_STATUS_ABORTED;
    for (bit = 1; bit != 0; bit = (uint16_t)(bit << 1)) {
        if ((own->testing & bit) != 0) {
            result.test = bit;
            (void)lc_session_event(&device->session, LC_ID_LINE_TEST_RESULT_EVENT, line, payload,
                                   lc_encode_line_test_result_event(&result, payload, sizeof payload));
        }
    }
    own->testing = 0;
    lc_line_note(device, line, "line test aborted");
}

/* --- ringing --- */

uint8_t lc_line_ring(lc_device *device, uint8_t line, const lc_ring_start *order, uint64_t now_ms)
{
    lc_ringer *ringer = &device->line[line].ringer;
    uint32_t whole = 0;
    uint8_t i;

    for (i = 0; i < order->cadence_ms_count; i++) {
        whole += order->cadence_ms[i];
    }
    if (order->cadence_ms_count % 2 != 0 || whole == 0) {
        return LC_STATUS_INVALID;
    }
    if (device->line[line].off_hook) {
        return LC_STATUS_OFF_HOOK;
    }
    lc_line_abort_test(device, line, now_ms);
    if (ringer->burst) {
        device->hal.ring(device->hal.context, line, false);
    }
    memcpy(ringer->cadence_ms, order->cadence_ms, sizeof ringer->cadence_ms);
    ringer->parts = order->cadence_ms_count;
    ringer->ringing = true;
    ringer->burst = false;
    ringer->bursts = 0;
    ringer->began_ms = now_ms;
    ringer->max_ms = order->max_ms;
    lc_line_note(device, line, "ringing begins");
    (void)lc_caller_ringing(device, line, order, now_ms);
    return LC_STATUS_OK;
}

void lc_line_stop_ring(lc_device *device, uint8_t line, uint64_t now_ms)
{
    lc_ringer *ringer = &device->line[line].ringer;

    if (!ringer->ringing) {
        return;
    }
    if (ringer->burst) {
        device->hal.ring(device->hal.context, line, false);
    }
    ringer->ringing = ringer->burst = false;
    lc_caller_stop(device, line, LC_DONE_RESULT_STOPPED, now_ms);
    lc_line_note(device, line, "ringing ends");
}

/* Whether `elapsed` ms after its begin the cadence is in a burst, and how long what it is in still lasts. */
static bool in_burst(const lc_ringer *ringer, uint64_t elapsed, uint32_t *left_ms)
{
    uint32_t whole = 0;
    uint32_t rest;
    uint8_t i;

    for (i = 0; i < ringer->parts; i++) {
        whole += ringer->cadence_ms[i];
    }
    rest = (uint32_t)(elapsed % whole);
    for (i = 0; rest >= ringer->cadence_ms[i]; i++) {
        rest -= ringer->cadence_ms[i];
    }
    *left_ms = ringer->cadence_ms[i] - rest;
    return i % 2 == 0;
}

static void tick_ring(lc_device *device, uint8_t line, uint64_t now_ms)
{
    lc_ringer *ringer = &device->line[line].ringer;
    uint64_t elapsed = now_ms - ringer->began_ms;
    lc_ring_phase_event phase;
    uint8_t payload[LC_MAX_EVENT];
    uint32_t left_ms;
    bool on;

    if (!ringer->ringing || device->line[line].caller.holds_ring || now_ms < ringer->began_ms) {
        return; /* The last: a tick that is late for what was ordered in the meantime. */
    }
    if (ringer->max_ms != 0 && elapsed >= ringer->max_ms) {
        lc_line_stop_ring(device, line, now_ms);
        return;
    }
    on = in_burst(ringer, elapsed, &left_ms);
    if (on == ringer->burst) {
        return;
    }
    ringer->burst = on;
    if (on) {
        ringer->bursts++;
    } else {
        lc_caller_pause(device, line, left_ms, now_ms);
    }
    device->hal.ring(device->hal.context, line, on);
    phase.t_us = now_ms * 1000u;
    phase.burst = ringer->bursts;
    phase.on = on;
    (void)lc_session_event(&device->session, LC_ID_RING_PHASE_EVENT, line, payload,
                           lc_encode_ring_phase_event(&phase, payload, sizeof payload));
}

/* --- tones --- */

#define DTMF_DBM0 (-10)
#define KEYS "123A456B789C*0#D"

static const uint16_t LOW_HZ[4] = {697, 770, 852, 941};      /* ITU-T Q.23 */
static const uint16_t HIGH_HZ[4] = {1209, 1336, 1477, 1633};

bool lc_line_key_hz(char key, uint16_t pair[2])
{
    const char *found = key == 0 ? NULL : strchr(KEYS, key);

    if (found != NULL) {
        pair[0] = LOW_HZ[(found - KEYS) / 4];
        pair[1] = HIGH_HZ[(found - KEYS) % 4];
    }
    return found != NULL;
}

static uint8_t segments_of(const lc_tone *tone)
{
    return tone->keys.digits_length > 0 ? (uint8_t)(2u * tone->keys.digits_length) : tone->program.segments_count;
}

static uint16_t segment_length(const lc_tone *tone)
{
    if (tone->keys.digits_length > 0) {
        return tone->segment % 2 == 0 ? tone->keys.on_ms : tone->keys.off_ms;
    }
    return tone->program.segments[tone->segment].ms;
}

static void sound(lc_device *device, uint8_t line)
{
    const lc_tone *tone = &device->line[line].tone;
    const lc_tone_segment *segment;
    uint16_t pair[2];

    if (tone->keys.digits_length > 0) {
        (void)lc_line_key_hz(tone->keys.digits[tone->segment / 2], pair);
        device->hal.oscillators(device->hal.context, line, pair, tone->segment % 2 == 0 ? 2 : 0, DTMF_DBM0);
        return;
    }
    segment = &tone->program.segments[tone->segment];
    device->hal.oscillators(device->hal.context, line, segment->frequencies, segment->frequencies_count,
                            tone->program.level_dbm0);
}

static void begin_tone(lc_device *device, uint8_t line, uint32_t duration_ms, uint64_t now_ms, const char *what)
{
    lc_tone *tone = &device->line[line].tone;

    tone->playing = true;
    tone->segment = 0;
    tone->segment_ms = now_ms;
    tone->until_ms = duration_ms == 0 ? NEVER : now_ms + duration_ms;
    sound(device, line);
    lc_line_note(device, line, what);
}

uint8_t lc_line_play(lc_device *device, uint8_t line, const lc_tone_program *program, uint32_t duration_ms,
                     uint64_t now_ms)
{
    if (program->segments_count == 0) {
        return LC_STATUS_INVALID;
    }
    device->line[line].tone.program = *program;
    device->line[line].tone.keys.digits_length = 0;
    begin_tone(device, line, duration_ms, now_ms, "tone begins");
    return LC_STATUS_OK;
}

uint8_t lc_line_dial(lc_device *device, uint8_t line, const lc_dtmf_send *order, uint64_t now_ms)
{
    uint16_t pair[2];
    uint8_t i;

    if (order->digits_length == 0 || order->on_ms == 0) {
        return LC_STATUS_INVALID;
    }
    for (i = 0; i < order->digits_length; i++) {
        if (!lc_line_key_hz(order->digits[i], pair)) {
            return LC_STATUS_INVALID;
        }
    }
    device->line[line].tone.keys = *order;
    begin_tone(device, line, 0, now_ms, "digits are played");
    return LC_STATUS_OK;
}

void lc_line_stop_tone(lc_device *device, uint8_t line)
{
    lc_tone *tone = &device->line[line].tone;

    if (!tone->playing) {
        return;
    }
    tone->playing = false;
    device->hal.oscillators(device->hal.context, line, NULL, 0, 0);
    lc_line_note(device, line, "tone ends");
}

static void tone_done(lc_device *device, uint8_t line, uint64_t now_ms)
{
    lc_tone_done_event done = {now_ms * 1000u, LC_DONE_RESULT_COMPLETE};
    uint8_t payload[LC_MAX_EVENT];

    lc_line_stop_tone(device, line);
    (void)lc_session_event(&device->session, LC_ID_TONE_DONE_EVENT, line, payload,
                           lc_encode_tone_done_event(&done, payload, sizeof payload));
}

/* Segments are changed at the tick at or after their end, and counted from their ends, so that no time is gained. */
static void tick_tone(lc_device *device, uint8_t line, uint64_t now_ms)
{
    lc_tone *tone = &device->line[line].tone;
    bool keys = tone->keys.digits_length > 0;
    uint8_t before = tone->segment;
    uint8_t steps;

    if (!tone->playing || now_ms < tone->segment_ms) {
        return;
    }
    if (now_ms >= tone->until_ms) {
        tone_done(device, line, now_ms);
        return;
    }
    for (steps = 0; steps <= segments_of(tone); steps++) {
        uint16_t length = segment_length(tone);

        if ((length == 0 && !keys) || now_ms - tone->segment_ms < length) {
            break;
        }
        tone->segment_ms += length;
        if (++tone->segment == segments_of(tone)) {
            if (keys || tone->program.once) {
                tone_done(device, line, now_ms);
                return;
            }
            tone->segment = 0;
        }
    }
    if (tone->segment != before) {
        sound(device, line);
    }
}

/* --- speech --- */

uint8_t lc_line_talk(lc_device *device, uint8_t line, const lc_audio_start *order)
{
    lc_line *own = &device->line[line];

    if (own->talking) {
        device->hal.speech(device->hal.context, line, order);
        return LC_STATUS_OK;
    }
    if (order->frame_ms != LC_TICK_MS) {
        return LC_STATUS_UNSUPPORTED;
    }
    memset(&own->playout, 0, sizeof own->playout);
    own->playout.depth = order->playout < 1 ? 1 : order->playout > LC_PLAYOUT_LIMIT ? LC_PLAYOUT_LIMIT : order->playout;
    own->playout.repeated = true;
    own->talking = true;
    own->awaiting = false;
    own->directions = order->directions;
    device->hal.speech(device->hal.context, line, order);
    lc_line_note(device, line, "speech begins");
    return LC_STATUS_OK;
}

void lc_line_stop_talk(lc_device *device, uint8_t line)
{
    if (device->line[line].talking) {
        device->line[line].talking = false;
        device->hal.speech(device->hal.context, line, NULL);
        lc_line_note(device, line, "speech ends");
    }
}

void lc_line_hear(lc_device *device, uint8_t line, uint32_t counter, const uint8_t *codes, size_t length)
{
    lc_line *own = &device->line[line];
    lc_playout *playout = &own->playout;
    uint8_t *slot;

    own->heard++;
    if (!own->talking) {
        return;
    }
    if (own->awaiting) {
        uint32_t missing = counter - own->awaited;

        if (missing >= SAMPLE_HALF) {
            own->late++;
            return;
        }
        own->lost += missing / LC_AUDIO_BYTES;
    }
    own->awaiting = true;
    own->awaited = counter + LC_AUDIO_BYTES;
    if (playout->count == LC_PLAYOUT_LIMIT) {
        playout->first = (uint8_t)((playout->first + 1u) % LC_PLAYOUT_LIMIT);
        playout->count--;
        playout->overruns++;
    }
    slot = playout->frames[(playout->first + playout->count++) % LC_PLAYOUT_LIMIT];
    length = length > LC_AUDIO_BYTES ? LC_AUDIO_BYTES : length;
    memset(slot, (int)ALAW_SILENCE, LC_AUDIO_BYTES);
    memcpy(slot, codes, length);
}

/* The next 10 ms for the earpiece, NULL: silence. One missing frame is concealed by repeating the last. */
static const uint8_t *next_frame(lc_playout *playout)
{
    if (!playout->filled) {
        if (playout->count < playout->depth) {
            return NULL;
        }
        playout->filled = true;
    }
    if (playout->count > 0) {
        memcpy(playout->last, playout->frames[playout->first], LC_AUDIO_BYTES);
        playout->first = (uint8_t)((playout->first + 1u) % LC_PLAYOUT_LIMIT);
        playout->count--;
        playout->repeated = false;
        return playout->last;
    }
    playout->underruns++;
    if (playout->repeated) {
        playout->filled = false;
        return NULL;
    }
    playout->repeated = true;
    return playout->last;
}

static void tick_speech(lc_device *device, uint8_t line)
{
    lc_line *own = &device->line[line];
    uint8_t codes[LC_AUDIO_BYTES];
    uint8_t flags = 0;

    if (!own->talking) {
        return;
    }
    if ((own->directions & LC_AUDIO_DIRECTION_TO_LINE) != 0) {
        const uint8_t *frame = next_frame(&own->playout);

        device->hal.play(device->hal.context, line, lc_caller_mutes(device, line) ? NULL : frame);
    }
    if ((own->directions & LC_AUDIO_DIRECTION_FROM_LINE) != 0) {
        device->hal.record(device->hal.context, line, codes);
        if (lc_caller_mutes(device, line)) {
            memset(codes, (int)ALAW_SILENCE, sizeof codes);
        }
        if (own->off_hook) {
            flags |= LC_AUDIO_FLAG_OFF_HOOK;
        }
        if (own->key_pressed) {
            flags |= LC_AUDIO_FLAG_DTMF;
        }
        lc_session_speech(&device->session, line, own->counter, flags, codes);
        own->counter += LC_AUDIO_BYTES;
    }
}

void lc_line_tick(lc_device *device, uint8_t line, uint64_t now_ms)
{
    tick_ring(device, line, now_ms);
    tick_tone(device, line, now_ms);
    lc_caller_tick(device, line, now_ms);
    tick_speech(device, line);
}
