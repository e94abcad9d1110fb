/* SPDX-License-Identifier: 0BSD */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

const char *const PRANK_NAMES[PRANKS] = {"loss", "repeat", "cut", "flip", "noise", "stall", "reset"};

/* Far worse than any cable that would be left in use, but a telephone stays usable. */
const mischief ROUGH = {0.02, 0.01, 0.01, 0.0002, 0.01, 0.001, 0.0001, 40, 1, 8, 400, 60};

/* splitmix64: reproducible, no secret */
static uint64_t draw(uint64_t *chance)
{
    uint64_t z = (*chance += 0x9E3779B97F4A7C15u);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static size_t below(uint64_t *chance, size_t limit)
{
    return limit == 0 ? 0 : (size_t)(draw(chance) % limit);
}

static bool hit(wire *w, prank kind, double share)
{
    if (share <= 0.0 || (double)(draw(&w->chance) >> 11) / 9007199254740992.0 >= share) {
        return false;
    }
    w->done[kind]++;
    return true;
}

void wire_init(wire *w, uint64_t seed, const mischief *wrong)
{
    memset(w, 0, sizeof *w);
    w->chance = seed;
    if (wrong != NULL) {
        w->wrong = *wrong;
    }
}

static void carry(wire *w, const uint8_t *data, size_t length, uint64_t now_ms)
{
    uint64_t due = now_ms + (uint64_t)w->wrong.delay_ms;

    due += w->wrong.jitter_ms > 0 ? below(&w->chance, (size_t)w->wrong.jitter_ms + 1) : 0;
    w->free_ms = w->free_ms > due ? w->free_ms : due; /* Never before what was sent earlier: a wire does not reorder. */
    while (length > 0 && w->count < WIRE_PIECES) {
        size_t at = (w->first + w->count++) % WIRE_PIECES;
        size_t part = length > WIRE_PIECE_BYTES ? WIRE_PIECE_BYTES : length;

        w->pieces[at].due_ms = w->free_ms;
        w->pieces[at].length = part;
        memcpy(w->pieces[at].bytes, data, part);
        data += part;
        length -= part;
    }
}

void wire_noise(wire *w, size_t length, uint64_t now_ms)
{
    uint8_t nonsense[WIRE_PIECE_BYTES];

    while (length > 0) {
        size_t part = length > sizeof nonsense ? sizeof nonsense : length;
        size_t i;

        for (i = 0; i < part; i++) {
            nonsense[i] = (uint8_t)draw(&w->chance);
        }
        carry(w, nonsense, part, now_ms);
        length -= part;
    }
}

static void put_frame(wire *w, const uint8_t *data, size_t length, uint64_t now_ms)
{
    uint8_t frame[WIRE_PIECE_BYTES];
    size_t times;
    size_t i;

    if (hit(w, PRANK_NOISE, w->wrong.noise)) {
        wire_noise(w, 1 + below(&w->chance, (size_t)w->wrong.noise_bytes), now_ms);
    }
    if (hit(w, PRANK_STALL, w->wrong.stall)) {
        w->free_ms = (w->free_ms > now_ms ? w->free_ms : now_ms) + (uint64_t)w->wrong.stall_ms;
    }
    if (hit(w, PRANK_LOSS, w->wrong.loss)) {
        return;
    }
    if (hit(w, PRANK_RESET, w->wrong.reset)) {
        w->reset_wanted = true;
        length /= 2;
    } else if (hit(w, PRANK_CUT, w->wrong.cut)) {
        length = below(&w->chance, length);
    }
    memcpy(frame, data, length);
    for (i = 0; i < length; i++) {
        if (hit(w, PRANK_FLIP, w->wrong.flip)) {
            frame[i] = (uint8_t)(frame[i] ^ (1u << below(&w->chance, 8)));
        }
    }
    for (times = hit(w, PRANK_REPEAT, w->wrong.repeat) ? 2 : 1; times > 0; times--) {
        carry(w, frame, length, now_ms);
    }
}

void wire_put(wire *w, const uint8_t *data, size_t length, uint64_t now_ms)
{
    while (length > 0) {
        const uint8_t *end = memchr(data, 0, length);
        size_t part = end == NULL ? length : (size_t)(end - data) + 1;

        part = part > WIRE_PIECE_BYTES ? WIRE_PIECE_BYTES : part;
        put_frame(w, data, part, now_ms);
        data += part;
        length -= part;
    }
}

size_t wire_take(wire *w, uint8_t *out, uint64_t now_ms)
{
    size_t length;

    if (wire_next_ms(w) > now_ms) {
        return 0;
    }
    length = w->pieces[w->first].length;
    memcpy(out, w->pieces[w->first].bytes, length);
    w->first = (w->first + 1) % WIRE_PIECES;
    w->count--;
    return length;
}

uint64_t wire_next_ms(const wire *w)
{
    return w->count == 0 ? UINT64_MAX : w->pieces[w->first].due_ms;
}

void wire_clear(wire *w)
{
    w->count = 0;
}

const char *mischief_set(mischief *wrong, const char *name, const char *value)
{
    struct {
        const char *name;
        double *share;
        int *whole;
    } const known[] = {
        {"loss", &wrong->loss, NULL}, {"repeat", &wrong->repeat, NULL}, {"cut", &wrong->cut, NULL},
        {"flip", &wrong->flip, NULL}, {"noise", &wrong->noise, NULL}, {"stall", &wrong->stall, NULL},
        {"reset", &wrong->reset, NULL}, {"noise_bytes", NULL, &wrong->noise_bytes},
        {"delay_ms", NULL, &wrong->delay_ms}, {"jitter_ms", NULL, &wrong->jitter_ms},
        {"stall_ms", NULL, &wrong->stall_ms}, {"greeting", NULL, &wrong->greeting},
    };
    size_t i;

    for (i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) == 0) {
            double number = strtod(value, NULL);

            if (!(number >= 0.0 && number <= (known[i].share != NULL ? 1.0 : 10000.0))) {
                return "mischief is out of its bounds: shares are 0 to 1, others 0 to 10000";
            }
            if (known[i].share != NULL) {
                *known[i].share = number;
            } else {
                *known[i].whole = (int)number;
            }
            return NULL;
        }
    }
    return "no such mischief";
}

size_t garble(uint64_t *chance, const uint8_t *data, size_t length, uint32_t sent_rate, uint32_t read_rate,
              uint8_t *out)
{
    static const uint8_t SLOW[6] = {0x00, 0x80, 0xE0, 0xF8, 0xFE, 0xFF};
    size_t wanted;
    size_t i;

    if (sent_rate == read_rate) {
        memcpy(out, data, length);
        return length;
    }
    sent_rate = sent_rate > 0 ? sent_rate : 1;
    wanted = (size_t)((uint64_t)length * read_rate / sent_rate);
    wanted = wanted < 1 ? 1 : wanted > 4 * length ? 4 * length : wanted;
    for (i = 0; i < wanted; i++) {
        size_t choice = below(chance, 7);

        out[i] = read_rate > sent_rate && choice < 6 ? SLOW[choice] : (uint8_t)draw(chance);
    }
    return wanted;
}
