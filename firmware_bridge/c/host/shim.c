/* SPDX-License-Identifier: 0BSD */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lc_hook.h"
#include "../lc_session.h"
#include "recode.h"

#define EVENTS 256
#define BAUDS 8

struct shim {
    lc_session session;
    uint32_t bauds[BAUDS];
    size_t first, count;
    uint32_t lost;
    shim_event events[EVENTS];
};

static shim_event *next_free(shim *s)
{
    shim_event *event;

    if (s->count == EVENTS) {
        s->lost++;
        s->count--;
    }
    event = &s->events[(s->first + s->count++) % EVENTS];
    memset(event, 0, sizeof *event);
    return event;
}

static void up(void *context, uint64_t now_ms)
{
    shim *s = context;
    shim_event *event = next_free(s);

    (void)now_ms;
    event->kind = SHIM_UP;
    event->number = s->session.number;
}

static void down(void *context, lc_down reason, uint64_t now_ms)
{
    shim_event *event = next_free(context);

    (void)now_ms;
    event->kind = SHIM_DOWN;
    event->id = (uint8_t)reason;
}

static uint8_t obey(void *context, uint8_t line, const lc_command *command, lc_result *result, uint64_t now_ms)
{
    shim_event *event = next_free(context);
    int length = lc_encode_command(command, event->payload, sizeof event->payload);

    (void)result, (void)now_ms;
    event->kind = SHIM_COMMAND;
    event->line = line;
    event->id = command->id;
    event->length = (uint8_t)(length < 0 ? 0 : length);
    return length < 0 ? LC_STATUS_FAILED : LC_STATUS_OK;
}

static void hear(void *context, uint8_t line, uint32_t counter, uint8_t flags, const uint8_t *data, size_t length)
{
    shim_event *event = next_free(context);

    event->kind = SHIM_SPEECH;
    event->line = line;
    event->id = flags;
    event->number = counter;
    event->length = (uint8_t)length;
    memcpy(event->payload, data, length);
}

shim *shim_new(uint64_t boot_id, uint8_t lines, uint32_t capabilities, const uint32_t *bauds, uint8_t baud_count)
{
    shim *s = calloc(1, sizeof *s);
    lc_owner owner = {s, up, down, obey, hear};
    lc_identity identity = {0};

    if (s == NULL || baud_count > BAUDS) {
        free(s);
        return NULL;
    }
    memcpy(s->bauds, bauds, baud_count * sizeof bauds[0]);
    identity.boot_id = boot_id;
    identity.lines = lines;
    identity.capabilities = capabilities;
    identity.bauds = s->bauds;
    identity.baud_count = baud_count;
    identity.firmware = "f1";
    identity.hardware = "";
    lc_session_init(&s->session, &identity, &owner);
    return s;
}

void shim_free(shim *s)
{
    free(s);
}

void shim_start(shim *s, uint64_t now_ms)
{
    lc_session_start(&s->session, now_ms);
}

void shim_receive(shim *s, const uint8_t *data, size_t length, uint64_t now_ms)
{
    lc_session_receive(&s->session, data, length, now_ms);
}

size_t shim_send(shim *s, uint8_t *out, uint64_t now_ms)
{
    return lc_session_send(&s->session, out, now_ms);
}

uint64_t shim_next_timer(const shim *s)
{
    return lc_session_next_timer(&s->session);
}

void shim_on_timer(shim *s, uint64_t now_ms)
{
    lc_session_on_timer(&s->session, now_ms);
}

int shim_event_out(shim *s, uint8_t id, uint8_t line, const uint8_t *payload, int length)
{
    return lc_session_event(&s->session, id, line, payload, length);
}

int shim_next_event(shim *s, shim_event *event)
{
    if (s->count == 0) {
        return 0;
    }
    *event = s->events[s->first];
    s->first = (s->first + 1) % EVENTS;
    s->count--;
    return 1;
}

int shim_up(const shim *s)
{
    return s->session.up;
}

uint32_t shim_number(const shim *s)
{
    return s->session.number;
}

uint32_t shim_rate(const shim *s)
{
    return s->session.rate;
}

uint32_t shim_rate_fallbacks(const shim *s)
{
    return s->session.rate_fallbacks;
}

unsigned shim_waiting(const shim *s)
{
    return s->session.sender.count;
}

uint32_t shim_unknown(const shim *s)
{
    return s->session.unknown;
}

uint32_t shim_lost_events(const shim *s)
{
    return s->lost;
}

size_t shim_frame(const uint8_t header[6], const uint8_t *payload, uint8_t length, uint8_t *out)
{
    lc_frame frame = {header[0], header[1], header[2], header[3], header[4], header[5], length, payload};

    return lc_frame_encode(&frame, out, LC_FRAME_BYTES);
}

size_t shim_verdicts(const uint8_t *data, size_t length, uint8_t *out)
{
    lc_decoder decoder;
    lc_frame frame;
    size_t ended = 0;
    size_t i;

    lc_decoder_init(&decoder);
    for (i = 0; i < length; i++) {
        lc_verdict verdict = lc_decoder_byte(&decoder, data[i], &frame);

        if (verdict != LC_PENDING) {
            out[ended++] = (uint8_t)verdict;
        }
    }
    return ended;
}

int shim_command(uint8_t id, const uint8_t *payload, size_t length, size_t *at)
{
    lc_command command;

    return (int)lc_decode_command(&command, id, payload, length, at);
}

uint32_t shim_schema(void)
{
    return LC_SCHEMA_HASH;
}

int shim_loop(const uint32_t *changes_ms, size_t count, uint32_t end_ms, char *out, size_t size)
{
    lc_hook hook;
    size_t next = 0;
    size_t used = 0;
    uint32_t now;

    lc_hook_init(&hook, &LC_HOOK_DEFAULTS);
    out[0] = 0;
    for (now = 0; now < end_ms; now++) {
        lc_hook_news news;
        int length = 0;

        while (next < count && changes_ms[next] <= now) {
            next++;
        }
        news = lc_hook_sample(&hook, next % 2 == 1, now);
        switch (news.what) {
        case LC_HOOK_NOTHING:
            break;
        case LC_HOOK_LIFTED:
        case LC_HOOK_REPLACED:
            length = snprintf(out + used, size - used, "%c%u ", news.what == LC_HOOK_LIFTED ? 'L' : 'R', (unsigned)news.at_ms);
            break;
        case LC_HOOK_FLASHED:
            length = snprintf(out + used, size - used, "F%u@%u ", news.ms, (unsigned)news.at_ms);
            break;
        case LC_HOOK_DIALLED:
            length = snprintf(out + used, size - used, "%c@%u ", news.digit, (unsigned)news.at_ms);
            break;
        }
        used += (size_t)length;
        if (used >= size) {
            return 0;
        }
    }
    return 1;
}
