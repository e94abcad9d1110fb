/* SPDX-License-Identifier: 0BSD
 * A line card: what the host's commands do to its lines, and what the lines tell the host.
 *
 * The firmware author fills in an lc_hal and calls the functions below: with bytes from the UART, every 10 ms, and when
 * a line's hook, a key or the button changes. Nothing here waits, allocates or reads a clock. All calls must come from
 * one context (the main loop); interrupts only leave their time stamps behind. */
#ifndef LC_DEVICE_H
#define LC_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lc_hook.h"
#include "lc_session.h"

#define LC_TICK_MS 10
#define LC_PLAYOUT_LIMIT 8 /* frames of speech that a line holds at most */

/* What the hardware does. Every function gets `context`; none may block. Those marked * may be NULL. */
typedef struct lc_hal {
    void *context;
    /* Ringing voltage on or off, burst by burst: the cadence is kept here. */
    void (*ring)(void *context, uint8_t line, bool on);
    /* * Send the message of `order` by the modem of its standard: handset down, 300 bits of channel seizure and 180 marks
     * before it; in a conversation (`off_hook`) 80 marks. NULL: stop. How long it takes is reckoned here. Without it
     * no caller is shown. */
    void (*fsk)(void *context, uint8_t line, const lc_cid_send *order, bool off_hook);
    /* Let the oscillators sound from now on, each at `level_dbm0`; count 0: silence. */
    void (*oscillators)(void *context, uint8_t line, const uint16_t *hz, uint8_t count, int8_t level_dbm0);
    /* Speech begins as `order` says (where it flows already: another echo canceller), or ends where it is NULL. */
    void (*speech)(void *context, uint8_t line, const lc_audio_start *order);
    /* Every 10 ms of speech: LC_AUDIO_BYTES codes for the earpiece, NULL for silence. */
    void (*play)(void *context, uint8_t line, const uint8_t *codes);
    /* Every 10 ms of speech: fetch LC_AUDIO_BYTES codes from the microphone. */
    void (*record)(void *context, uint8_t line, uint8_t *codes);
    /* * Another feed; false where it cannot be set. Reversed ones are what SET_POLARITY asks for. */
    bool (*linefeed)(void *context, uint8_t line, uint8_t feed);
    /* * Another profile. */
    void (*profile)(void *context, uint8_t line, const lc_set_profile *profile);
    /* * Gains of speech in hundredths of a decibel: towards the network, towards the telephone. */
    void (*gain)(void *context, uint8_t line, int16_t tx_cdb, int16_t rx_cdb);
    /* * A lamp; its colour and pattern are lc_lamp_colour and lc_lamp_pattern. */
    void (*lamp)(void *context, const lc_led *lamp);
    /* * Measure voltages and currents. */
    void (*measure)(void *context, uint8_t line, lc_line_measurement *measured);
    /* * Begin a test of the wires; gives an lc_status. Its end is told with lc_device_tested, unless it is aborted. */
    uint8_t (*test)(void *context, uint8_t line, uint16_t tests);
    /* Give the wires back to the telephone. Needed with `test`. */
    void (*test_abort)(void *context, uint8_t line);
    /* * A LC_ID_FIRMWARE_* command; gives an lc_status. `in_use` is LC_STATUS_OK where every line is idle. */
    uint8_t (*firmware)(void *context, const lc_command *command, lc_result *result, uint8_t in_use);
    /* * Restart the microcontroller; it may return, then the caller makes the device anew before it is used again. */
    void (*restart)(void *context);
    /* * For whoever debugs: what happens, in a few words. */
    void (*note)(void *context, uint8_t line, const char *what);
    /* * A session began (`ended` false) or ended. */
    void (*session)(void *context, bool ended, lc_down reason);
} lc_hal;

typedef struct lc_playout {
    uint8_t frames[LC_PLAYOUT_LIMIT][LC_AUDIO_BYTES];
    uint8_t last[LC_AUDIO_BYTES];
    uint8_t first;
    uint8_t count;
    uint8_t depth;
    bool filled;
    bool repeated;
    uint32_t underruns;
    uint32_t overruns;
} lc_playout;

typedef struct lc_tone {
    lc_tone_program program;
    lc_dtmf_send keys;   /* played instead of the program where there are any */
    bool playing;
    uint8_t segment;
    uint64_t segment_ms; /* when the present segment began */
    uint64_t until_ms;   /* UINT64_MAX: until told */
} lc_tone;

typedef struct lc_ringer {
    uint16_t cadence_ms[8];
    uint8_t parts;
    bool ringing;
    bool burst;
    uint16_t bursts;
    uint64_t began_ms;
    uint32_t max_ms;
} lc_ringer;

typedef enum lc_caller_phase {
    LC_CALLER_IDLE,
    LC_CALLER_ALERT,  /* the tone that makes the telephone listen */
    LC_CALLER_ANSWER, /* which in a conversation it answers */
    LC_CALLER_GAP,
    LC_CALLER_DATA,
    LC_CALLER_TAIL,
} lc_caller_phase;

typedef struct lc_caller {
    lc_cid_send order;
    bool waiting;    /* for the next ringing, or its next pause */
    bool off_hook;   /* it is shown in a conversation */
    bool holds_ring; /* ringing begins when this has ended */
    bool lamp_wanted, lamp_on;
    uint8_t phase;   /* lc_caller_phase */
    uint16_t key;    /* of keys: twice the number of the present one, and one more in the silence behind it */
    uint64_t until_ms;
} lc_caller;

typedef struct lc_line {
    lc_hook hook;
    bool off_hook;
    bool key_pressed;
    uint8_t linefeed; /* lc_linefeed, while it does not ring */
    uint16_t testing;  /* bits of lc_line_test, 0: none */
    lc_ringer ringer;
    lc_caller caller;
    lc_tone tone;
    bool talking;
    bool awaiting;
    uint8_t directions;
    uint32_t counter;  /* of samples, of the line's own clock */
    uint32_t awaited;  /* what the host's next frame should answer */
    uint32_t heard;    /* frames of speech that came from the host */
    uint32_t lost;
    uint32_t late;
    lc_playout playout;
} lc_line;

typedef struct lc_device {
    lc_session session;
    lc_hal hal;
    uint8_t lines;
    uint64_t started_ms;
    uint64_t status_ms;
    uint32_t events_lost;
    lc_line line[LC_LINES];
} lc_device;

/* Makes a device that has just started: all lines idle and on-hook. `identity->lines` is at most LC_LINES.
 * Handsets that are lifted already are told with lc_device_hook. */
void lc_device_init(lc_device *device, const lc_identity *identity, const lc_hal *hal, uint64_t now_ms);

/* Bytes that came from the UART. */
void lc_device_receive(lc_device *device, const uint8_t *data, size_t length, uint64_t now_ms);

/* The next bytes for the UART, see lc_session_send; call it until it gives 0, after each of the others. */
size_t lc_device_send(lc_device *device, uint8_t *out, uint64_t now_ms);

/* The rate at which the UART should run, in baud; change it when all that was written before has left. */
uint32_t lc_device_rate(const lc_device *device);

/* 10 ms have passed, on the line's own clock. */
void lc_device_tick(lc_device *device, uint64_t now_ms);

/* Whether current flows in a line's loop: for chips that say no more than that, at least every few milliseconds. What
 * it means is told apart here, by the times of the line's profile; then lc_device_hook, lc_device_flash and dial pulses
 * need not be told. */
void lc_device_loop(lc_device *device, uint8_t line, bool current, uint64_t now_ms);

/* What happened on a line, at `t_us` of the device's clock; debounced, flashes and dial pulses already told apart. */
void lc_device_hook(lc_device *device, uint8_t line, bool off_hook, uint64_t t_us);
void lc_device_flash(lc_device *device, uint8_t line, uint16_t ms, uint64_t t_us);
void lc_device_digit(lc_device *device, uint8_t line, char digit, uint8_t method, uint64_t t_us);
void lc_device_digit_end(lc_device *device, uint8_t line, char digit, uint16_t ms, uint64_t t_us);
void lc_device_fault(lc_device *device, uint8_t line, uint16_t faults, uint8_t action, uint64_t t_us);

/* One test of the wires has ended; its id tells which. */
void lc_device_tested(lc_device *device, uint8_t line, const lc_line_test_result_event *result);

/* The button went down (`held_ms` 0) or up. */
void lc_device_button(lc_device *device, bool down_now, uint32_t held_ms, uint64_t t_us);

#endif
