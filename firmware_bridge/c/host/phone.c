/* SPDX-License-Identifier: 0BSD */
#include "phone.h"

#include <string.h>

#include "sound.h"

#define SPEECH_DBM0 (-10.0)
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
    if (p->key != 0 && !p->detected && now_ms - p->pressed_ms >= DETECT_MS) {
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
        lc_device_hook(device, p->line, p->off_hook, t_us);
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
    case ACT_FLASH_END:
        if (p->off_hook) {
            lc_device_flash(device, p->line, now->ms, t_us);
        } else {
            note(p->line, "flash_end ignored: the handset is on the hook");
        }
        break;
    case ACT_FLASH_BEGIN:
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
        p->busy_until_ms = now_ms + (now->what == ACT_FLASH_END ? 0u : now->ms);
    }
    detect(p, device, now_ms);
}

void phone_listen(phone *p)
{
    int16_t *pcm = p->heard[p->heard_next];
    size_t n;

    p->heard_next = (p->heard_next + 1) % PHONE_HEARD_TICKS;
    for (n = 0; n < LC_AUDIO_BYTES; n++) {
        int16_t tone = sines(p->oscillators, p->oscillator_count, p->oscillator_dbm0, p->oscillator_at++);
        int16_t speech = amplified(p->played != NULL ? alaw_expand(p->played[n]) : (int16_t)0, p->rx_cdb);

        pcm[n] = p->off_hook ? clipped_sum(tone, speech) : (int16_t)0;
    }
    p->played = NULL;
}

void phone_speak(phone *p, uint8_t *codes)
{
    uint16_t pair[2];
    size_t n;

    for (n = 0; n < LC_AUDIO_BYTES; n++) {
        int16_t voice = 0;

        if (p->key != 0 && p->off_hook && key_hz(p->key, pair)) {
            voice = sines(pair, 2, SPEECH_DBM0, p->key_at++);
        } else if (p->voice_hz != 0 && p->off_hook) {
            voice = sines(&p->voice_hz, 1, SPEECH_DBM0, p->voice_at++);
        }
        codes[n] = alaw_compress(amplified(voice, p->tx_cdb));
    }
    p->frames_out++;
}

double phone_hears(const phone *p, unsigned hz, unsigned ms)
{
    int16_t pcm[PHONE_HEARD_TICKS * LC_AUDIO_BYTES];
    size_t ticks = ms / LC_TICK_MS;
    size_t i;

    ticks = ticks < 1 ? 1 : ticks > PHONE_HEARD_TICKS ? PHONE_HEARD_TICKS : ticks;
    for (i = 0; i < ticks; i++) {
        memcpy(pcm + i * LC_AUDIO_BYTES, p->heard[(p->heard_next + PHONE_HEARD_TICKS - ticks + i) % PHONE_HEARD_TICKS],
               LC_AUDIO_BYTES * sizeof pcm[0]);
    }
    return level_dbm0(pcm, ticks * LC_AUDIO_BYTES, (double)hz);
}
