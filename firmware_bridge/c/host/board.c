/* SPDX-License-Identifier: 0BSD */
#define _GNU_SOURCE
#include "board.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control.h"

#define BEHIND_MS 500
#define READ_BYTES 4096

uint64_t boot_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* --- the hardware, as the device sees it --- */

static void hal_ring(void *context, uint8_t line, bool on)
{
    (void)context, (void)line, (void)on;
}

static void hal_fsk(void *context, uint8_t line, const lc_cid_send *order, bool off_hook)
{
    modem_send(&((board *)context)->phones[line].modem, order, off_hook);
}

static bool hal_linefeed(void *context, uint8_t line, uint8_t feed)
{
    ((board *)context)->phones[line].reversed = feed == LC_LINEFEED_REVERSE_ACTIVE;
    return true;
}

static void hal_oscillators(void *context, uint8_t line, const uint16_t *hz, uint8_t count, int8_t level_dbm0)
{
    phone *p = &((board *)context)->phones[line];

    if (count > 0) {
        memcpy(p->oscillators, hz, count * sizeof hz[0]);
    }
    p->oscillator_count = count;
    p->oscillator_dbm0 = level_dbm0;
    p->oscillator_at = 0;
}

static void hal_speech(void *context, uint8_t line, const lc_audio_start *order)
{
    ((board *)context)->phones[line].talking = order != NULL;
}

static void hal_play(void *context, uint8_t line, const uint8_t *codes)
{
    ((board *)context)->phones[line].played = codes;
}

static void hal_record(void *context, uint8_t line, uint8_t *codes)
{
    phone_speak(&((board *)context)->phones[line], codes);
}

static void hal_lamp(void *context, const lc_led *lamp)
{
    if (lamp->lamp < LC_LINES) {
        ((board *)context)->lamps[lamp->lamp] = *lamp;
    }
}

static void hal_gain(void *context, uint8_t line, int16_t tx_cdb, int16_t rx_cdb)
{
    ((board *)context)->phones[line].tx_cdb = tx_cdb;
    ((board *)context)->phones[line].rx_cdb = rx_cdb;
}

static void hal_measure(void *context, uint8_t line, lc_line_measurement *measured)
{
    bool off_hook = ((board *)context)->phones[line].off_hook;

    measured->tip_ring_mv = measured->dc_mv = off_hook ? 8000 : 48000;
    measured->battery_mv = -52000;
    measured->loop_ua = off_hook ? 23000 : 0;
}

static void hal_restart(void *context)
{
    board *b = context;

    b->restart_wanted = true;
    b->restart_cause = LC_RESET_CAUSE_SOFTWARE;
}

static void hal_note(void *context, uint8_t line, const char *what)
{
    if (strcmp(what, "ringing begins") == 0) {
        ((board *)context)->phones[line].wires_count = 0; /* The last caller is not shown any more. */
    }
    if (!((board *)context)->quiet) {
        control_event(line, what);
    }
}

static void hal_session(void *context, bool ended, lc_down reason)
{
    static const char *const WHY[] = {
        "", "the other end speaks, but acknowledges nothing", "the host opened a new session",
        "the card gave the session up",
    };
    char what[128];

    if (!ended) {
        control_event(0, "the host opens a session");
        return;
    }
    if (reason == LC_DOWN_SILENT) {
        (void)snprintf(what, sizeof what, "the session ends: nothing was heard for %u ms",
                       (unsigned)((board *)context)->device.session.silence_ms);
    } else {
        (void)snprintf(what, sizeof what, "the session ends: %s", WHY[reason]);
    }
    control_event(0, what);
}

/* --- life --- */

void board_start(board *b)
{
    lc_hal hal = {0};
    uint8_t line;

    hal.context = b;
    hal.ring = hal_ring;
    hal.fsk = hal_fsk;
    hal.linefeed = hal_linefeed;
    hal.oscillators = hal_oscillators;
    hal.speech = hal_speech;
    hal.play = hal_play;
    hal.record = hal_record;
    hal.gain = hal_gain;
    hal.lamp = hal_lamp;
    hal.measure = hal_measure;
    hal.restart = hal_restart;
    hal.note = hal_note;
    hal.session = hal_session;
    memset(b->lamps, 0, sizeof b->lamps);
    lc_device_init(&b->device, &b->identity, &hal, boot_ms());
    b->quiet = true; /* Handsets that are lifted already are no news. */
    for (line = 0; line < b->device.lines; line++) {
        phone *p = &b->phones[line];

        p->line = line;
        p->oscillator_count = 0;
        p->talking = false;
        p->tx_cdb = p->rx_cdb = 0;
        p->played = NULL;
        p->reversed = false;
        modem_send(&p->modem, NULL, false);
        lc_device_hook(&b->device, line, p->off_hook, boot_ms() * 1000u);
    }
    b->quiet = false;
}

void board_reset(board *b, uint8_t cause)
{
    control_event(0, "the card restarts");
    b->identity.boot_id++;
    b->identity.reset_cause = cause;
    board_start(b);
}

void board_press_button(board *b, uint32_t held_ms)
{
    uint64_t t_us = boot_ms() * 1000u;

    lc_device_button(&b->device, true, 0, t_us);
    lc_device_button(&b->device, false, held_ms, t_us + held_ms * 1000u);
}

void board_unkind(board *b, const mischief *wrong, uint64_t seed)
{
    wire_init(&b->to_card, 2 * seed, wrong);
    wire_init(&b->to_host, 2 * seed + 1, wrong);
}

void board_put(const board *b, const uint8_t *data, size_t length)
{
    if (b->port.master >= 0 && write(b->port.master, data, length) < 0) {
        return;
    }
}

void board_babble(board *b, size_t length)
{
    wire noise;
    uint8_t piece[WIRE_PIECE_BYTES];
    size_t part;

    wire_init(&noise, length, NULL);
    wire_noise(&noise, length, 0);
    while ((part = wire_take(&noise, piece, 0)) > 0) {
        board_put(b, piece, part);
    }
}

static void follow_plug(board *b)
{
    if (b->plugged && b->port.master < 0) {
        if (!pty_plug(&b->port)) {
            control_error("the pseudo-terminal cannot be made");
        }
    } else if (!b->plugged && b->port.master >= 0) {
        pty_unplug(&b->port);
        wire_clear(&b->to_card);
        wire_clear(&b->to_host);
    }
}

static void arrive(board *b)
{
    uint8_t piece[WIRE_PIECE_BYTES];
    size_t length;

    while ((length = wire_take(&b->to_card, piece, boot_ms())) > 0) {
        lc_device_receive(&b->device, piece, length, boot_ms());
    }
    if (b->restart_wanted) {
        b->restart_wanted = false;
        board_reset(b, b->restart_cause);
    }
}

static void live(board *b)
{
    uint64_t now = boot_ms();
    uint8_t line;

    if (now > b->tick_ms + BEHIND_MS) {
        b->tick_ms = now;
    }
    for (; b->tick_ms <= now; b->tick_ms += LC_TICK_MS) {
        control_at(b->tick_ms);
        for (line = 0; line < b->device.lines; line++) {
            phone_act(&b->phones[line], &b->device, b->tick_ms, control_event);
        }
        lc_device_tick(&b->device, b->tick_ms);
        for (line = 0; line < b->device.lines; line++) {
            phone_listen(&b->phones[line]);
        }
    }
    control_at(0);
}

static void send_all(board *b)
{
    uint8_t out[LC_SEND_BYTES];
    uint8_t heard[4 * LC_SEND_BYTES];
    uint8_t piece[WIRE_PIECE_BYTES];
    size_t length;

    for (;;) {
        uint32_t rate = lc_device_rate(&b->device); /* What comes now is sent at this, even if it is the last at it. */
        uint32_t host_rate;

        length = lc_device_send(&b->device, out, boot_ms());
        if (length == 0) {
            break;
        }
        if (b->port.master < 0) {
            continue;
        }
        host_rate = pty_host_rate(&b->port);
        if (b->to_host.wrong.greeting > 0 && !b->device.session.up) {
            wire_noise(&b->to_host, (size_t)b->to_host.wrong.greeting, boot_ms());
        }
        b->garbled += host_rate != rate ? length : 0;
        length = garble(&b->chance, out, length, rate, host_rate, heard);
        wire_put(&b->to_host, heard, length, boot_ms());
        if (b->to_host.reset_wanted) {
            b->to_host.reset_wanted = false;
            board_reset(b, LC_RESET_CAUSE_WATCHDOG);
        }
    }
    while ((length = wire_take(&b->to_host, piece, boot_ms())) > 0) {
        board_put(b, piece, length);
    }
}

void board_read(board *b)
{
    uint8_t data[READ_BYTES];
    uint8_t heard[4 * READ_BYTES];
    ssize_t length = b->port.master < 0 ? -1 : read(b->port.master, data, sizeof data);
    uint32_t host_rate = pty_host_rate(&b->port);
    uint32_t rate = lc_device_rate(&b->device);

    if (length > 0) {
        b->garbled += host_rate != rate ? (unsigned long)length : 0;
        wire_put(&b->to_card, heard, garble(&b->chance, data, (size_t)length, host_rate, rate, heard), boot_ms());
    }
}

int board_run(board *b)
{
    uint64_t due;
    uint64_t now;

    follow_plug(b);
    arrive(b);
    live(b);
    send_all(b);
    due = b->tick_ms;
    due = wire_next_ms(&b->to_card) < due ? wire_next_ms(&b->to_card) : due;
    due = wire_next_ms(&b->to_host) < due ? wire_next_ms(&b->to_host) : due;
    now = boot_ms();
    return due > now ? (int)(due - now) : 0;
}
