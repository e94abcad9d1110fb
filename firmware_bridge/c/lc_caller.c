/* SPDX-License-Identifier: 0BSD */
#include "lc_caller.h"

#include <string.h>

#include "lc_line.h"

#define ALERT_MS 100u
#define ALERT_OFF_HOOK_MS 80u
#define AFTER_ALERT_MS 60u
#define AFTER_BURST_MS 600u
#define BEFORE_BURST_MS 250u
#define ANSWER_MS 220u
#define AFTER_ANSWER_MS 100u
#define KEY_MS 70u
#define ALERT_DBM0 (-15)
#define DTMF_DBM0 (-10)
#define SEIZURE_BITS 300u
#define MARK_BITS 180u
#define MARK_BITS_OFF_HOOK 80u

static const uint16_t ALERT_HZ[2] = {2130, 2750};

static uint32_t data_ms(const lc_cid_send *order, bool off_hook)
{
    uint32_t bits = (off_hook ? MARK_BITS_OFF_HOOK : SEIZURE_BITS + MARK_BITS) + 10u * order->message_length + 1u;

    if (order->standard == LC_CID_STANDARD_DTMF) {
        return 2u * KEY_MS * order->message_length;
    }
    return (bits * 10u + 11u) / 12u; /* 1200 bit/s */
}

static void silence(lc_device *device, uint8_t line)
{
    device->hal.oscillators(device->hal.context, line, NULL, 0, 0);
}

static void enter(lc_device *device, uint8_t line, uint8_t phase, uint32_t ms, uint64_t now_ms)
{
    lc_caller *caller = &device->line[line].caller;

    caller->phase = phase;
    caller->until_ms = now_ms + ms;
}

static void alert(lc_device *device, uint8_t line, uint32_t ms, uint64_t now_ms)
{
    device->hal.oscillators(device->hal.context, line, ALERT_HZ, 2, ALERT_DBM0);
    enter(device, line, LC_CALLER_ALERT, ms, now_ms);
}

static void play_key(lc_device *device, uint8_t line, uint64_t now_ms)
{
    lc_caller *caller = &device->line[line].caller;
    uint16_t pair[2];

    lc_line_key_hz((char)caller->order.message[caller->key / 2], pair);
    device->hal.oscillators(device->hal.context, line, pair, caller->key % 2 == 0 ? 2 : 0, DTMF_DBM0);
    enter(device, line, LC_CALLER_DATA, KEY_MS, now_ms);
}

static void send_data(lc_device *device, uint8_t line, uint64_t now_ms)
{
    lc_caller *caller = &device->line[line].caller;

    if (caller->order.standard == LC_CID_STANDARD_DTMF) {
        caller->key = 0;
        play_key(device, line, now_ms);
        return;
    }
    device->hal.fsk(device->hal.context, line, &caller->order, caller->off_hook);
    enter(device, line, LC_CALLER_DATA, data_ms(&caller->order, caller->off_hook), now_ms);
}

static void begin(lc_device *device, uint8_t line, bool off_hook, uint64_t now_ms)
{
    lc_caller *caller = &device->line[line].caller;

    caller->waiting = false;
    caller->off_hook = off_hook;
    lc_line_stop_tone(device, line);
    if (off_hook) {
        alert(device, line, ALERT_OFF_HOOK_MS, now_ms);
    } else if (caller->order.standard == LC_CID_STANDARD_DTMF) {
        enter(device, line, LC_CALLER_GAP, BEFORE_BURST_MS, now_ms);
    } else {
        alert(device, line, ALERT_MS, now_ms);
    }
}

static void done(lc_device *device, uint8_t line, uint8_t result, uint64_t now_ms)
{
    static const char *const WHAT[] = {
        "caller display: complete", "caller display: stopped", "caller display: off_hook", "caller display: failed",
    };
    lc_line *own = &device->line[line];
    lc_cid_done_event event = {now_ms * 1000u, result};
    uint8_t payload[LC_MAX_EVENT];

    own->caller.phase = LC_CALLER_IDLE;
    own->caller.waiting = false;
    if (own->caller.holds_ring) {
        own->caller.holds_ring = false;
        own->ringer.began_ms = now_ms;
    }
    lc_line_note(device, line, WHAT[result & 3u]);
    (void)lc_session_event(&device->session, LC_ID_CID_DONE_EVENT, line, payload,
                           lc_encode_cid_done_event(&event, payload, sizeof payload));
}

static bool can_be_sent(const lc_device *device, const lc_cid_send *order)
{
    uint16_t pair[2];
    uint8_t i;

    if (order->standard != LC_CID_STANDARD_DTMF) {
        return device->hal.fsk != NULL;
    }
    for (i = 0; i < order->message_length; i++) {
        if (!lc_line_key_hz((char)order->message[i], pair)) {
            return false;
        }
    }
    return true;
}

uint8_t lc_caller_order(lc_device *device, uint8_t line, const lc_cid_send *order, uint64_t now_ms)
{
    lc_line *own = &device->line[line];
    bool now = order->placement == LC_CID_PLACEMENT_NOW;

    if (order->standard != LC_CID_STANDARD_DTMF && device->hal.fsk == NULL) {
        return LC_STATUS_UNSUPPORTED;
    }
    if (order->message_length == 0 || !can_be_sent(device, order)
        || (own->off_hook && order->standard == LC_CID_STANDARD_DTMF)) {
        return LC_STATUS_INVALID;
    }
    if (own->caller.phase != LC_CALLER_IDLE) {
        return LC_STATUS_BUSY;
    }
    if (own->ringer.ringing && order->placement != LC_CID_PLACEMENT_AFTER_FIRST_RING) {
        return LC_STATUS_BUSY;
    }
    if (own->off_hook && !now) {
        return LC_STATUS_OFF_HOOK;
    }
    lc_line_abort_test(device, line, now_ms);
    own->caller.order = *order;
    own->caller.waiting = true;
    if (now) {
        begin(device, line, own->off_hook, now_ms);
    }
    return LC_STATUS_OK;
}

uint8_t lc_caller_messages(lc_device *device, uint8_t line, uint8_t mode)
{
    if (device->hal.fsk == NULL || (mode != LC_VMWI_MODE_OFF && mode != LC_VMWI_MODE_FSK)) {
        return LC_STATUS_UNSUPPORTED;
    }
    device->line[line].caller.lamp_wanted = true;
    device->line[line].caller.lamp_on = mode == LC_VMWI_MODE_FSK;
    return LC_STATUS_OK;
}

static void close_message(lc_cid_send *order, uint8_t type)
{
    uint8_t sum = 0;
    uint8_t i;

    order->standard = LC_CID_STANDARD_ETSI_FSK;
    order->message[0] = type;
    order->message[1] = (uint8_t)(order->message_length - 2);
    for (i = 0; i < order->message_length; i++) {
        sum = (uint8_t)(sum + order->message[i]);
    }
    order->message[order->message_length++] = (uint8_t)(0u - sum);
}

/* A call-setup message with nothing but the number. */
static void write_number(lc_cid_send *order, const char *number, uint8_t length)
{
    static const uint8_t CALL_TYPE[] = {0x11, 1, 1, 0x02};

    memcpy(order->message + 2, CALL_TYPE, sizeof CALL_TYPE);
    order->message[6] = length > 20 ? 20 : length;
    memcpy(order->message + 7, number, order->message[6]);
    order->message_length = (uint8_t)(7 + order->message[6]);
    close_message(order, 0x80);
}

static void write_lamp(lc_cid_send *order, bool on)
{
    order->message[2] = 0x0B;
    order->message[3] = 1;
    order->message[4] = on ? 0xFF : 0;
    order->message_length = 5;
    close_message(order, 0x82);
}

bool lc_caller_ringing(lc_device *device, uint8_t line, const lc_ring_start *order, uint64_t now_ms)
{
    lc_caller *caller = &device->line[line].caller;

    if (!caller->waiting && caller->phase == LC_CALLER_IDLE && order->caller_length > 0 && device->hal.fsk != NULL) {
        write_number(&caller->order, order->caller, order->caller_length);
        caller->order.placement = order->caller_after_ring == 0 ? (uint8_t)LC_CID_PLACEMENT_BEFORE_RING
                                                                : (uint8_t)LC_CID_PLACEMENT_AFTER_FIRST_RING;
        caller->waiting = true;
    }
    if (!caller->waiting || caller->phase != LC_CALLER_IDLE
        || caller->order.placement != LC_CID_PLACEMENT_BEFORE_RING) {
        return false;
    }
    begin(device, line, false, now_ms);
    caller->holds_ring = true;
    return true;
}

void lc_caller_pause(lc_device *device, uint8_t line, uint32_t pause_ms, uint64_t now_ms)
{
    lc_caller *caller = &device->line[line].caller;

    if (!caller->waiting || caller->phase != LC_CALLER_IDLE) {
        return;
    }
    if (AFTER_BURST_MS + data_ms(&caller->order, false) + BEFORE_BURST_MS <= pause_ms) {
        caller->waiting = false;
        caller->off_hook = false;
        enter(device, line, LC_CALLER_GAP, AFTER_BURST_MS, now_ms);
    }
}

bool lc_caller_answer(lc_device *device, uint8_t line, char key, uint64_t now_ms)
{
    if (device->line[line].caller.phase != LC_CALLER_ANSWER) {
        return false;
    }
    if (key == 'A' || key == 'D') {
        enter(device, line, LC_CALLER_GAP, AFTER_ANSWER_MS, now_ms);
    }
    return true;
}

bool lc_caller_mutes(const lc_device *device, uint8_t line)
{
    return device->line[line].caller.phase != LC_CALLER_IDLE && device->line[line].caller.off_hook;
}

static void fall_silent(lc_device *device, uint8_t line)
{
    lc_caller *caller = &device->line[line].caller;

    if (caller->phase == LC_CALLER_ALERT
        || (caller->phase == LC_CALLER_DATA && caller->order.standard == LC_CID_STANDARD_DTMF)) {
        silence(device, line);
    } else if (caller->phase == LC_CALLER_DATA) {
        device->hal.fsk(device->hal.context, line, NULL, caller->off_hook);
    }
}

void lc_caller_stop(lc_device *device, uint8_t line, uint8_t result, uint64_t now_ms)
{
    lc_caller *caller = &device->line[line].caller;

    if (caller->phase == LC_CALLER_IDLE && !caller->waiting) {
        return;
    }
    fall_silent(device, line);
    done(device, line, result, now_ms);
}

static void next_phase(lc_device *device, uint8_t line, uint64_t now_ms)
{
    lc_caller *caller = &device->line[line].caller;

    switch (caller->phase) {
    case LC_CALLER_ALERT:
        silence(device, line);
        enter(device, line, caller->off_hook ? LC_CALLER_ANSWER : LC_CALLER_GAP,
              caller->off_hook ? ANSWER_MS : AFTER_ALERT_MS, now_ms);
        break;
    case LC_CALLER_GAP:
        send_data(device, line, now_ms);
        break;
    case LC_CALLER_DATA:
        if (caller->order.standard == LC_CID_STANDARD_DTMF && ++caller->key < 2u * caller->order.message_length) {
            play_key(device, line, now_ms);
            break;
        }
        fall_silent(device, line);
        if (caller->off_hook) {
            done(device, line, LC_DONE_RESULT_COMPLETE, now_ms);
        } else {
            enter(device, line, LC_CALLER_TAIL, BEFORE_BURST_MS, now_ms);
        }
        break;
    case LC_CALLER_TAIL:
        done(device, line, LC_DONE_RESULT_COMPLETE, now_ms);
        break;
    default:
        done(device, line, LC_DONE_RESULT_FAILED, now_ms);
        break;
    }
}

void lc_caller_tick(lc_device *device, uint8_t line, uint64_t now_ms)
{
    lc_line *own = &device->line[line];
    lc_caller *caller = &own->caller;

    if (caller->lamp_wanted && caller->phase == LC_CALLER_IDLE && !caller->waiting && !own->off_hook
        && !own->ringer.ringing && own->testing == 0) {
        caller->lamp_wanted = false;
        write_lamp(&caller->order, caller->lamp_on);
        begin(device, line, false, now_ms);
    }
    if (caller->phase != LC_CALLER_IDLE && now_ms >= caller->until_ms) {
        next_phase(device, line, now_ms);
    }
}
