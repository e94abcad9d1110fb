/* SPDX-License-Identifier: 0BSD
 * A telephone on a line of the device: hands that follow a script, a voice, and an ear. */
#ifndef LC_HOST_PHONE_H
#define LC_HOST_PHONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lc_device.h"
#include "modem.h"

#define PHONE_SCRIPT 1024
#define PHONE_HEARD_TICKS 1500 /* 15 s of what was heard are kept */
#define PHONE_MEASURED_TICKS 40
#define PHONE_WIRES_SAMPLES 80000

typedef enum act { ACT_LIFT, ACT_REPLACE, ACT_PRESS, ACT_RELEASE, ACT_BREAK, ACT_MAKE, ACT_WAIT } act;

typedef struct step {
    act what;
    uint16_t ms; /* the next step follows so much later */
    char digit;
} step;

typedef struct phone {
    uint8_t line;
    bool off_hook;
    bool broken; /* the loop is open although the handset is up: the dial, the recall key or a finger on the hook */
    char key; /* the one that is pressed, 0: none */
    uint64_t pressed_ms;
    bool detected; /* the decoder believes the key */
    uint64_t key_at;
    int16_t tx_cdb, rx_cdb;
    uint64_t busy_until_ms;
    size_t script_first, script_count;
    step script[PHONE_SCRIPT];
    uint16_t voice_hz; /* 0: silent */
    uint64_t voice_at;
    modem modem;
    bool reversed;       /* the wires have changed places */
    bool not_in_calls;   /* it does not answer when data is offered in a conversation */
    unsigned alert_ticks;
    bool alerted;
    bool wires_sounded;
    unsigned listens_ticks; /* so long it takes what is in the ear for data */
    uint64_t answer_ends_ms; /* 0: it does not answer */
    size_t wires_count;
    int16_t wires[PHONE_WIRES_SAMPLES]; /* what sounded with the handset down since ringing began, or as data */
    bool talking;
    uint32_t frames_out;
    uint16_t oscillators[4];
    uint8_t oscillator_count;
    int8_t oscillator_dbm0;
    uint64_t oscillator_at;
    const uint8_t *played; /* speech of this tick, NULL: none */
    size_t heard_next;
    int16_t heard[PHONE_HEARD_TICKS][LC_AUDIO_BYTES];
} phone;

/* Adds a step; false where the script is full. */
bool phone_script(phone *p, act what, unsigned ms, char digit);

/* Performs what is due of the script; `note` gets the transcript. */
void phone_act(phone *p, lc_device *device, uint64_t now_ms, void (*note)(uint8_t line, const char *what));

/* After the device's tick: what came out of the earpiece in these 10 ms. */
void phone_listen(phone *p);

/* What goes into the microphone in these 10 ms. */
void phone_speak(phone *p, uint8_t *codes);

/* The samples of tick `back` before the latest one (0); `back` is below PHONE_HEARD_TICKS. */
const int16_t *phone_heard(const phone *p, size_t back);

/* The level at `hz` over the last `ms` of what came out of the earpiece. */
double phone_hears(const phone *p, unsigned hz, unsigned ms);

#endif
