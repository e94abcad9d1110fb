/* SPDX-License-Identifier: 0BSD */
#include "lc_hook.h"

#include <string.h>

#define MOST_PULSES 10u

/* Dials break for 50 to 70 ms at 10 pulses a second; a recall key for 80 to 130 (ETSI TBR 21), a slow finger longer. */
const lc_hook_times LC_HOOK_DEFAULTS = {10, 75, 200, 76, 700};

void lc_hook_init(lc_hook *hook, const lc_hook_times *times)
{
    memset(hook, 0, sizeof *hook);
    hook->times = *times;
}

/* The loop was closed again after a break that began at `began_ms`. */
static lc_hook_news ended_break(lc_hook *hook, uint64_t began_ms)
{
    lc_hook_news news = {LC_HOOK_NOTHING, 0, 0, 0};
    uint64_t lasted = hook->closed_ms - began_ms;

    if (lasted <= hook->times.pulse_break_max_ms) {
        if (hook->pulses == 0) {
            hook->first_pulse_ms = began_ms;
        }
        if (hook->pulses <= MOST_PULSES) {
            hook->pulses++;
        }
    } else {
        hook->pulses = 0;
        if (lasted >= hook->times.flash_min_ms) {
            news.what = LC_HOOK_FLASHED;
            news.ms = (uint16_t)lasted;
            news.at_ms = hook->closed_ms;
        }
    }
    return news;
}

static lc_hook_news changed(lc_hook *hook, uint64_t before_ms)
{
    lc_hook_news news = {LC_HOOK_NOTHING, 0, 0, 0};

    if (!hook->closed) {
        return news; /* A break begins; how long it lasts will tell. */
    }
    if (hook->off_hook) {
        return ended_break(hook, before_ms);
    }
    hook->off_hook = true;
    hook->pulses = 0;
    news.what = LC_HOOK_LIFTED;
    news.at_ms = hook->closed_ms;
    return news;
}

static lc_hook_news waited(lc_hook *hook, uint64_t now_ms)
{
    lc_hook_news news = {LC_HOOK_NOTHING, 0, 0, 0};
    /* A change that may yet prove to be a bounce ends the state if it does not. */
    uint64_t lasts = (hook->seen == hook->closed ? now_ms : hook->seen_ms) - hook->closed_ms;

    if (!hook->closed && hook->off_hook && lasts > hook->times.flash_max_ms) {
        hook->off_hook = false;
        hook->pulses = 0;
        news.what = LC_HOOK_REPLACED;
        news.at_ms = hook->closed_ms;
    } else if (hook->closed && hook->pulses > 0 && lasts >= hook->times.pulse_interdigit_ms) {
        if (hook->pulses <= MOST_PULSES) {
            news.what = LC_HOOK_DIALLED;
            news.digit = (char)('0' + hook->pulses % MOST_PULSES);
            news.at_ms = hook->first_pulse_ms;
        }
        hook->pulses = 0;
    }
    return news;
}

lc_hook_news lc_hook_sample(lc_hook *hook, bool current, uint64_t now_ms)
{
    uint64_t before_ms = hook->closed_ms;

    if (current != hook->seen) {
        hook->seen = current;
        hook->seen_ms = now_ms;
    }
    if (hook->seen != hook->closed && now_ms - hook->seen_ms >= hook->times.debounce_ms) {
        hook->closed = hook->seen;
        hook->closed_ms = hook->seen_ms;
        return changed(hook, before_ms);
    }
    return waited(hook, now_ms);
}
