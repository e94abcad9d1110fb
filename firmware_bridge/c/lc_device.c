/* SPDX-License-Identifier: 0BSD */
#include "lc_device.h"

#include <string.h>

#include "lc_caller.h"
#include "lc_line.h"

#define STATUS_MS 1000

/* What a lifted handset hears when the host has gone, if the host wanted so: Norway's congestion tone (ITU-T E.180). */
static const lc_tone_program REORDER = {
    -10, 2, {{1, {425, 0, 0, 0}, 200}, {0, {0, 0, 0, 0}, 200}}, false,
};

static void tell(lc_device *device, uint8_t id, uint8_t line, const uint8_t *payload, int length)
{
    if (device->session.up && !lc_session_event(&device->session, id, line, payload, length)) {
        device->events_lost++;
    }
}

static void report_line(lc_device *device, uint8_t index, uint64_t now_ms)
{
    const lc_line *line = &device->line[index];
    uint8_t payload[LC_MAX_EVENT];
    lc_line_status status;

    memset(&status, 0, sizeof status);
    status.t_us = now_ms * 1000u;
    status.off_hook = line->off_hook;
    status.linefeed = line->ringer.ringing ? (uint8_t)LC_LINEFEED_RINGING : line->linefeed;
    status.ringing = line->ringer.ringing;
    status.tone = line->tone.playing;
    status.audio = line->talking;
    if (device->hal.measure != NULL) {
        lc_line_measurement measured;

        memset(&measured, 0, sizeof measured);
        device->hal.measure(device->hal.context, index, &measured);
        status.tip_ring_mv = measured.tip_ring_mv;
        status.loop_ua = measured.loop_ua;
    }
    tell(device, LC_ID_LINE_STATUS, index, payload, lc_encode_line_status(&status, payload, sizeof payload));
}

static void report(lc_device *device, uint64_t now_ms)
{
    uint8_t line;

    device->status_ms = now_ms + STATUS_MS;
    for (line = 0; line < device->lines; line++) {
        report_line(device, line, now_ms);
    }
}

/* --- what the session asks --- */

static void up(void *context, uint64_t now_ms)
{
    lc_device *device = context;

    if (device->hal.session != NULL) {
        device->hal.session(device->hal.context, false, LC_DOWN_CLOSED);
    }
    report(device, now_ms);
}

static void down(void *context, lc_down reason, uint64_t now_ms)
{
    lc_device *device = context;
    bool reorder = reason == LC_DOWN_SILENT && device->session.lease_action == LC_LEASE_ACTION_REORDER;
    uint8_t line;

    if (device->hal.session != NULL) {
        device->hal.session(device->hal.context, true, reason);
    }
    for (line = 0; line < device->lines; line++) {
        lc_line_idle(device, line, now_ms);
        if (reorder && device->line[line].off_hook) {
            (void)lc_line_play(device, line, &REORDER, 0, now_ms);
        }
    }
}

static void pack_result(lc_result *result, int length)
{
    result->length = (uint8_t)(length < 0 ? 0 : length);
}

static void get_stats(const lc_device *device, lc_result *result, uint64_t now_ms)
{
    const lc_session *session = &device->session;
    lc_stats stats;
    uint8_t line;

    memset(&stats, 0, sizeof stats);
    stats.crc_errors = session->decoder.crc_errors;
    stats.cobs_errors = session->decoder.cobs_errors;
    stats.rx_overruns = session->decoder.overruns;
    stats.sequence_gaps = lc_session_gaps(session);
    stats.retransmissions = lc_session_retransmissions(session);
    for (line = 0; line < device->lines; line++) {
        stats.audio_lost += device->line[line].lost;
        stats.audio_late += device->line[line].late;
        stats.audio_underruns += device->line[line].playout.underruns;
    }
    stats.rtt_us = lc_sender_rtt_ms(&session->sender) * 1000u;
    stats.uptime_ms = now_ms - device->started_ms;
    pack_result(result, lc_encode_stats(&stats, result->bytes, sizeof result->bytes));
}

static uint8_t measure(const lc_device *device, uint8_t line, lc_result *result)
{
    lc_line_measurement measured;

    if (device->hal.measure == NULL) {
        return LC_STATUS_UNSUPPORTED;
    }
    memset(&measured, 0, sizeof measured);
    device->hal.measure(device->hal.context, line, &measured);
    pack_result(result, lc_encode_line_measurement(&measured, result->bytes, sizeof result->bytes));
    return LC_STATUS_OK;
}

static uint8_t set_profile(lc_device *device, uint8_t line, const lc_set_profile *profile)
{
    lc_hook_times *times = &device->line[line].hook.times;

    times->debounce_ms = profile->hook_debounce_ms;
    times->pulse_break_max_ms = profile->pulse_break_max_ms;
    times->pulse_interdigit_ms = profile->pulse_interdigit_ms;
    times->flash_min_ms = profile->flash_min_ms;
    times->flash_max_ms = profile->flash_max_ms;
    if (device->hal.gain != NULL) {
        device->hal.gain(device->hal.context, line, profile->tx_gain_cdb, profile->rx_gain_cdb);
    }
    if (device->hal.profile != NULL) {
        device->hal.profile(device->hal.context, line, profile);
    }
    return LC_STATUS_OK;
}

static uint8_t set_linefeed(lc_device *device, uint8_t line, uint8_t feed)
{
    if (feed == LC_LINEFEED_RINGING) {
        return LC_STATUS_INVALID;
    }
    if (device->hal.linefeed == NULL || !device->hal.linefeed(device->hal.context, line, feed)) {
        return LC_STATUS_UNSUPPORTED;
    }
    device->line[line].linefeed = feed;
    return LC_STATUS_OK;
}

static uint8_t set_polarity(lc_device *device, uint8_t line, uint8_t mode)
{
    if (mode == LC_POLARITY_MODE_WINK) {
        return LC_STATUS_UNSUPPORTED;
    }
    return set_linefeed(device, line,
                        mode == LC_POLARITY_MODE_REVERSE ? LC_LINEFEED_REVERSE_ACTIVE : LC_LINEFEED_FORWARD_ACTIVE);
}

static uint8_t set_lamp(lc_device *device, const lc_led *order)
{
    if (device->hal.lamp == NULL) {
        return LC_STATUS_UNSUPPORTED;
    }
    if (order->lamp >= device->lines && order->lamp != LC_ADAPTER_LAMP) {
        return LC_STATUS_INVALID;
    }
    device->hal.lamp(device->hal.context, order);
    return LC_STATUS_OK;
}

/* Whether some line has better to do than to wait for new firmware. */
static uint8_t in_use(const lc_device *device)
{
    uint8_t line;

    for (line = 0; line < device->lines; line++) {
        if (device->line[line].off_hook) {
            return LC_STATUS_OFF_HOOK;
        }
    }
    for (line = 0; line < device->lines; line++) {
        if (device->line[line].ringer.ringing || device->line[line].talking || device->line[line].testing != 0) {
            return LC_STATUS_BUSY;
        }
    }
    return LC_STATUS_OK;
}

static uint8_t reset(lc_device *device, uint8_t mode, uint64_t now_ms)
{
    switch (mode) {
    case LC_RESET_MODE_LINK_ONLY:
        lc_session_close(&device->session, now_ms);
        return LC_NO_REPLY;
    case LC_RESET_MODE_SOFT:
        if (device->hal.restart != NULL) {
            device->hal.restart(device->hal.context);
            return LC_NO_REPLY;
        }
        return LC_STATUS_UNSUPPORTED;
    default:
        return LC_STATUS_UNSUPPORTED;
    }
}

static uint8_t line_command(lc_device *device, uint8_t line, const lc_command *command, lc_result *result,
                            uint64_t now_ms)
{
    switch (command->id) {
    case LC_ID_RING_START:
        return lc_line_ring(device, line, &command->as.ring_start, now_ms);
    case LC_ID_RING_STOP:
        lc_line_stop_ring(device, line, now_ms);
        return LC_STATUS_OK;
    case LC_ID_CID_SEND:
        return lc_caller_order(device, line, &command->as.cid_send, now_ms);
    case LC_ID_SET_VMWI:
        return lc_caller_messages(device, line, command->as.set_vmwi.mode);
    case LC_ID_SET_POLARITY:
        return set_polarity(device, line, command->as.set_polarity.mode);
    case LC_ID_TONE_START:
        return lc_line_play(device, line, &command->as.tone_start.program, command->as.tone_start.duration_ms, now_ms);
    case LC_ID_TONE_STOP:
        lc_line_stop_tone(device, line);
        return LC_STATUS_OK;
    case LC_ID_AUDIO_START:
        return lc_line_talk(device, line, &command->as.audio_start);
    case LC_ID_AUDIO_STOP:
        lc_line_stop_talk(device, line);
        return LC_STATUS_OK;
    case LC_ID_DTMF_SEND:
        return lc_line_dial(device, line, &command->as.dtmf_send, now_ms);
    case LC_ID_LINE_TEST_START:
        return lc_line_test_wires(device, line, &command->as.line_test_start);
    case LC_ID_LINE_TEST_ABORT:
        lc_line_abort_test(device, line, now_ms);
        return device->hal.test == NULL ? LC_STATUS_UNSUPPORTED : LC_STATUS_OK;
    case LC_ID_SET_GAIN:
        if (device->hal.gain == NULL) {
            return LC_STATUS_UNSUPPORTED;
        }
        device->hal.gain(device->hal.context, line, command->as.set_gain.tx_cdb, command->as.set_gain.rx_cdb);
        return LC_STATUS_OK;
    case LC_ID_GET_STATUS:
        report_line(device, line, now_ms);
        return LC_STATUS_OK;
    case LC_ID_SET_PROFILE:
        return set_profile(device, line, &command->as.set_profile);
    case LC_ID_SET_LINEFEED:
        return set_linefeed(device, line, command->as.set_linefeed.linefeed);
    case LC_ID_LINE_MEASURE:
        return measure(device, line, result);
    default:
        return LC_STATUS_UNSUPPORTED;
    }
}

static uint8_t obey(void *context, uint8_t line, const lc_command *command, lc_result *result, uint64_t now_ms)
{
    lc_device *device = context;

    switch (command->id) {
    case LC_ID_RESET:
        return reset(device, command->as.reset.mode, now_ms);
    case LC_ID_GET_STATS:
        get_stats(device, result, now_ms);
        return LC_STATUS_OK;
    case LC_ID_LED:
        return set_lamp(device, &command->as.led);
    case LC_ID_FIRMWARE_BEGIN:
    case LC_ID_FIRMWARE_DATA:
    case LC_ID_FIRMWARE_VERIFY:
    case LC_ID_FIRMWARE_ACTIVATE:
    case LC_ID_FIRMWARE_STATUS:
        return device->hal.firmware == NULL
                   ? LC_STATUS_UNSUPPORTED
                   : device->hal.firmware(device->hal.context, command, result, in_use(device));
    default:
        break;
    }
    if (line >= device->lines) {
        return LC_STATUS_BAD_LINE;
    }
    return line_command(device, line, command, result, now_ms);
}

static void hear(void *context, uint8_t line, uint32_t counter, uint8_t flags, const uint8_t *data, size_t length)
{
    lc_device *device = context;

    (void)flags;
    if (line < device->lines) {
        lc_line_hear(device, line, counter, data, length);
    }
}

/* --- for the firmware --- */

void lc_device_init(lc_device *device, const lc_identity *identity, const lc_hal *hal, uint64_t now_ms)
{
    lc_owner owner = {NULL, up, down, obey, hear};
    uint8_t line;

    memset(device, 0, sizeof *device);
    owner.context = device;
    device->hal = *hal;
    device->lines = identity->lines > LC_LINES ? LC_LINES : identity->lines;
    device->started_ms = now_ms;
    for (line = 0; line < device->lines; line++) {
        lc_line_init(&device->line[line]);
    }
    lc_session_init(&device->session, identity, &owner);
    device->session.identity.lines = device->lines;
    lc_session_start(&device->session, now_ms);
}

void lc_device_receive(lc_device *device, const uint8_t *data, size_t length, uint64_t now_ms)
{
    lc_session_receive(&device->session, data, length, now_ms);
}

size_t lc_device_send(lc_device *device, uint8_t *out, uint64_t now_ms)
{
    return lc_session_send(&device->session, out, now_ms);
}

uint32_t lc_device_rate(const lc_device *device)
{
    return device->session.rate;
}

void lc_device_tick(lc_device *device, uint64_t now_ms)
{
    uint8_t line;

    lc_session_on_timer(&device->session, now_ms);
    for (line = 0; line < device->lines; line++) {
        lc_line_tick(device, line, now_ms);
    }
    if (device->session.up && now_ms >= device->status_ms) {
        report(device, now_ms);
    }
}

void lc_device_loop(lc_device *device, uint8_t line, bool current, uint64_t now_ms)
{
    lc_hook_news news;
    bool closed;

    if (line >= device->lines) {
        return;
    }
    closed = device->line[line].hook.closed;
    news = lc_hook_sample(&device->line[line].hook, current, now_ms);
    if (device->line[line].hook.closed != closed) {
        lc_line_abort_test(device, line, now_ms);
    }
    switch (news.what) {
    case LC_HOOK_NOTHING:
        break;
    case LC_HOOK_LIFTED:
    case LC_HOOK_REPLACED:
        lc_device_hook(device, line, news.what == LC_HOOK_LIFTED, news.at_ms * 1000u);
        break;
    case LC_HOOK_FLASHED:
        lc_device_flash(device, line, news.ms, news.at_ms * 1000u);
        break;
    case LC_HOOK_DIALLED:
        lc_device_digit(device, line, news.digit, LC_DIGIT_METHOD_PULSE, news.at_ms * 1000u);
        break;
    }
}

void lc_device_hook(lc_device *device, uint8_t line, bool off_hook, uint64_t t_us)
{
    uint8_t payload[LC_MAX_EVENT];
    lc_hook_event event = {t_us, off_hook, LC_HOOK_CAUSE_LOOP};

    if (line >= device->lines || device->line[line].off_hook == off_hook) {
        return;
    }
    lc_line_abort_test(device, line, t_us / 1000u);
    lc_caller_stop(device, line, off_hook ? LC_DONE_RESULT_OFF_HOOK : LC_DONE_RESULT_STOPPED, t_us / 1000u);
    if (off_hook && device->line[line].ringer.ringing) {
        event.cause = LC_HOOK_CAUSE_RING_TRIP;
        lc_line_stop_ring(device, line, t_us / 1000u); /* Ring trip is the card's own business; no host could be fast enough. */
    }
    device->line[line].off_hook = off_hook;
    lc_line_note(device, line, off_hook ? "off-hook" : "on-hook");
    tell(device, LC_ID_HOOK_EVENT, line, payload, lc_encode_hook_event(&event, payload, sizeof payload));
}

void lc_device_flash(lc_device *device, uint8_t line, uint16_t ms, uint64_t t_us)
{
    uint8_t payload[LC_MAX_EVENT];
    lc_flash_event event = {t_us, ms};

    if (line < device->lines && device->line[line].off_hook) {
        lc_line_note(device, line, "flash");
        tell(device, LC_ID_FLASH_EVENT, line, payload, lc_encode_flash_event(&event, payload, sizeof payload));
    }
}

void lc_device_digit(lc_device *device, uint8_t line, char digit, uint8_t method, uint64_t t_us)
{
    uint8_t payload[LC_MAX_EVENT];
    lc_digit_event event = {t_us, 1, {digit}, method};

    if (line < device->lines && method == LC_DIGIT_METHOD_DTMF
        && lc_caller_answer(device, line, digit, t_us / 1000u)) {
        return;
    }
    if (line < device->lines && device->line[line].off_hook) {
        device->line[line].key_pressed = method == LC_DIGIT_METHOD_DTMF;
        tell(device, LC_ID_DIGIT_EVENT, line, payload, lc_encode_digit_event(&event, payload, sizeof payload));
    }
}

void lc_device_digit_end(lc_device *device, uint8_t line, char digit, uint16_t ms, uint64_t t_us)
{
    uint8_t payload[LC_MAX_EVENT];
    lc_digit_end_event event = {t_us, 1, {digit}, ms};

    if (line < device->lines && device->line[line].key_pressed) {
        device->line[line].key_pressed = false;
        tell(device, LC_ID_DIGIT_END_EVENT, line, payload, lc_encode_digit_end_event(&event, payload, sizeof payload));
    }
}

void lc_device_fault(lc_device *device, uint8_t line, uint16_t faults, uint8_t action, uint64_t t_us)
{
    uint8_t payload[LC_MAX_EVENT];
    lc_fault_event event = {t_us, faults, action};

    if (line < device->lines) {
        tell(device, LC_ID_FAULT_EVENT, line, payload, lc_encode_fault_event(&event, payload, sizeof payload));
    }
}

void lc_device_tested(lc_device *device, uint8_t line, const lc_line_test_result_event *result)
{
    uint8_t payload[LC_MAX_EVENT];

    if (line < device->lines) {
        device->line[line].testing &= (uint16_t)~result->test;
        tell(device, LC_ID_LINE_TEST_RESULT_EVENT, line, payload,
             lc_encode_line_test_result_event(result, payload, sizeof payload));
    }
}

void lc_device_button(lc_device *device, bool down_now, uint32_t held_ms, uint64_t t_us)
{
    uint8_t payload[LC_MAX_EVENT];
    lc_button_event event = {t_us, down_now, held_ms};

    tell(device, LC_ID_BUTTON_EVENT, 0, payload, lc_encode_button_event(&event, payload, sizeof payload));
}
