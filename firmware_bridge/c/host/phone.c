/* SPDX-License-Identifier: 0BSD */
#include "phone.h"

#include <string.h>

#include "sound.h"

#define SPEECH_DBM0 (-10.0)
#define ANSWER 'D' /* by which a telephone says that it listens (ETSI EN 300 659-2) */
#define ANSWER_MS 60
#define ALERT_DBM0 (-25.0)
#define ALERTED_TICKS 6
#define LISTENS_TICKS 300
#define DETECT_MS 30 /* until then the tone of a key is in the speech like any other sound */

bool phone_script(phone *p, act what, unsigned ms, char digit)
{
    step *next;

    if (p->script_count == PHONE_SCRIPT) {
        return false;
    }
    next = &p->script[(p->script_first + p->script_count++) % PHONE_SCRIPT];
    next->what = what;
    next->ms = (uint16_t)ms;
    next->digit = digit;
    return true;
}

static void press(phone *p, char digit, uint64_t now_ms, void (*note)(uint8_t, const char *))
{
    char what[] = "digit ?";

    if (!p->off_hook) {
        note(p->line, "press ignored: the handset is on the hook");
        return;
    }
    what[sizeof what - 2] = digit;
    p->key = digit;
    p->pressed_ms = now_ms;
    p->detected = false;
    p->key_at = 0;
    note(p->line, what);
}

static void detect(phone *p, lc_device *device, uint64_t now_ms)
{
    if (p->key != 0 && device->line[p->line].off_hook && !p->detected && now_ms - p->pressed_ms >= DETECT_MS) {
        p->detected = true;
        lc_device_digit(device, p->line, p->key, LC_DIGIT_METHOD_DTMF, p->pressed_ms * 1000u);
    }
}

static void perform(phone *p, lc_device *device, const step *now, uint64_t now_ms, void (*note)(uint8_t, const char *))
{
    uint64_t t_us = now_ms * 1000u;

    switch (now->what) {
    case ACT_LIFT:
    case ACT_REPLACE:
        p->off_hook = now->what == ACT_LIFT;
        p->broken = false;
        break;
    case ACT_PRESS:
        press(p, now->digit, now_ms, note);
        break;
    case ACT_RELEASE:
        detect(p, device, now_ms);
        if (p->key != 0 && p->detected) {
            lc_device_digit_end(device, p->line, p->key, (uint16_t)(now_ms - p->pressed_ms), t_us);
        }
        p->key = 0;
        break;
    case ACT_BREAK:
        if (!p->off_hook) {
            note(p->line, "break ignored: the handset is on the hook");
        }
        p->broken = p->off_hook;
        break;
    case ACT_MAKE:
        p->broken = false;
        break;
    case ACT_WAIT:
        break;
    }
}

void phone_act(phone *p, lc_device *device, uint64_t now_ms, void (*note)(uint8_t line, const char *what))
{
    while (p->script_count > 0 && now_ms >= p->busy_until_ms) {
        const step *now = &p->script[p->script_first];

        p->script_first = (p->script_first + 1) % PHONE_SCRIPT;
        p->script_count--;
        perform(p, device, now, now_ms, note);
        p->busy_until_ms = now_ms + now->ms;
    }
    lc_device_loop(device, p->line, p->off_hook && !p->broken, now_ms);
    detect(p, device, now_ms);
    if (p->answer_ends_ms != 0 && now_ms >= p->answer_ends_ms) {
        p->key = 0;
        p->answer_ends_ms = 0;
    } else if (p->alert_ticks >= ALERTED_TICKS && !p->alerted) {
        p->alert_ticks = 0;
        p->listens_ticks = LISTENS_TICKS;
        p->key = ANSWER;
        p->pressed_ms = now_ms;
        p->detected = false;
        p->key_at = 0;
        p->answer_ends_ms = now_ms + ANSWER_MS;
    }
}

static bool sounds(const int16_t *pcm)
{
    size_t n;

    for (n = 0; n < LC_AUDIO_BYTES; n++) {
        if (pcm[n] != 0) {
            return true;
        }
    }
    return false;
}

/* What a telephone with a display takes for data, and the tone by which it is told to listen in a conversation. */
static void watch(phone *p, const int16_t *wires, const int16_t *ear)
{
    bool at_ear = p->off_hook && !p->broken;
    const int16_t *data = at_ear ? ear : wires;
    bool silent = !sounds(data);

    p->alerted = at_ear && !p->not_in_calls && !silent && level_dbm0(ear, LC_AUDIO_BYTES, 2130.0) > ALERT_DBM0
                 && level_dbm0(ear, LC_AUDIO_BYTES, 2750.0) > ALERT_DBM0
                 && level_dbm0(ear, LC_AUDIO_BYTES, 600.0) < ALERT_DBM0;
    if (p->alerted) {
        p->alert_ticks++;
    } else if (p->alert_ticks < ALERTED_TICKS) {
        p->alert_ticks = 0;
    }
    if (at_ear && p->listens_ticks == 0) {
        return;
    }
    if (at_ear) {
        p->listens_ticks--;
    }
    /* One silent tick behind a sound ends what was heard; more tell nothing. */
    if ((!silent || p->wires_sounded) && p->wires_count + LC_AUDIO_BYTES <= PHONE_WIRES_SAMPLES) {
        memcpy(p->wires + p->wires_count, data, LC_AUDIO_BYTES * sizeof data[0]);
        p->wires_count += LC_AUDIO_BYTES;
    }
    p->wires_sounded = !silent;
}

void phone_listen(phone *p)
{
    int16_t *pcm = p->heard[p->heard_next];
    int16_t wires[LC_AUDIO_BYTES];
    size_t n;

    p->heard_next = (p->heard_next + 1) % PHONE_HEARD_TICKS;
    for (n = 0; n < LC_AUDIO_BYTES; n++) {
        int16_t tone = clipped_sum(sines(p->oscillators, p->oscillator_count, p->oscillator_dbm0, p->oscillator_at++),
                                   modem_sample(&p->modem));
        int16_t speech = amplified(p->played != NULL ? alaw_expand(p->played[n]) : (int16_t)0, p->rx_cdb);

        wires[n] = tone;
        pcm[n] = p->off_hook && !p->broken ? clipped_sum(tone, speech) : (int16_t)0;
    }
    p->played = NULL;
    watch(p, wires, pcm);
}

void phone_speak(phone *p, uint8_t *codes)
{
    uint16_t pair[2];
    size_t n;

    for (n = 0; n < LC_AUDIO_BYTES; n++) {
        int16_t voice = 0;

        if (p->key != 0 && p->off_hook && !p->broken && key_hz(p->key, pair)) {
            voice = sines(pair, 2, SPEECH_DBM0, p->key_at++);
        } else if (p->voice_hz != 0 && p->off_hook && !p->broken) {
            voice = sines(&p->voice_hz, 1, SPEECH_DBM0, p->voice_at++);
        }
        codes[n] = alaw_compress(amplified(voice, p->tx_cdb));
    }
    p->frames_out++;
}

const int16_t *phone_heard(const phone *p, size_t back)
{
    return p->heard[(p->heard_next + PHONE_HEARD_TICKS - 1 - back) % PHONE_HEARD_TICKS];
}

double phone_hears(const phone *p, unsigned hz, unsigned ms)
{
    int16_t pcm[PHONE_MEASURED_TICKS * LC_AUDIO_BYTES];
    size_t ticks = ms / LC_TICK_MS;
    size_t i;

    ticks = ticks < 1 ? 1 : ticks > PHONE_MEASURED_TICKS ? PHONE_MEASURED_TICKS : ticks;
    for (i = 0; i < ticks; i++) {
        memcpy(pcm + i * LC_AUDIO_BYTES, phone_heard(p, ticks - 1 - i), LC_AUDIO_BYTES * sizeof pcm[0]);
    }
    return level_dbm0(pcm, ticks * LC_AUDIO_BYTES, (double)hz);
}
