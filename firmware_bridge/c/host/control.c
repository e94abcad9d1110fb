/* SPDX-License-Identifier: 0BSD */
#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"

#define WORDS 24
#define DIGITS "0123456789*#ABCD"
#define BABBLE_LIMIT 4096
#define HAND_MS 100 /* from the hook to the keys, and from one act to the next */
#define NOT_WHOLE (-1L)

static uint64_t happened_ms;

typedef struct words {
    char *word[WORDS];
    size_t count;
} words;

static void quoted(const char *text, size_t length)
{
    size_t i;

    (void)putchar('"');
    for (i = 0; i < length; i++) {
        unsigned char one = (unsigned char)text[i];

        if (one == '"' || one == '\\') {
            (void)printf("\\%c", one);
        } else if (one < 0x20) {
            (void)printf("\\u%04x", one);
        } else {
            (void)putchar(one);
        }
    }
    (void)putchar('"');
}

static void end_line(void)
{
    (void)fputs("}\n", stdout);
    (void)fflush(stdout);
}

void control_ready(const board *b)
{
    const char *path = b->port.link != NULL ? b->port.link : b->port.device;

    (void)fputs("{\"type\": \"ready\", \"path\": ", stdout);
    quoted(path, strlen(path));
    (void)printf(", \"lines\": %u", b->device.lines);
    end_line();
}

void control_at(uint64_t now_ms)
{
    happened_ms = now_ms;
}

void control_event(uint8_t line, const char *what)
{
    (void)printf("{\"type\": \"event\", \"at_ms\": %llu, \"line\": %u, \"what\": ",
                 (unsigned long long)(happened_ms != 0 ? happened_ms : boot_ms()), line);
    quoted(what, strlen(what));
    end_line();
}

void control_error(const char *text)
{
    (void)fputs("{\"type\": \"error\", \"text\": ", stdout);
    quoted(text, strlen(text));
    end_line();
}

/* A whole number of at most six digits, NOT_WHOLE where the word is missing or something else (which is told). */
static long whole(const words *w, size_t index, const char *meaning)
{
    char text[128];
    const char *word = index < w->count ? w->word[index] : NULL;

    if (word == NULL) {
        (void)snprintf(text, sizeof text, "%s is missing", meaning);
    } else if (*word != 0 && strlen(word) <= 6 && strspn(word, "0123456789") == strlen(word)) {
        return strtol(word, NULL, 10);
    } else {
        (void)snprintf(text, sizeof text, "'%.40s' is not a whole number of at most six digits", word);
    }
    control_error(text);
    return NOT_WHOLE;
}

static phone *phone_of(board *b, const words *w)
{
    char text[96];
    long line = whole(w, 1, "a line");

    if (line == NOT_WHOLE) {
        return NULL;
    }
    if (line >= b->device.lines) {
        (void)snprintf(text, sizeof text, "line %ld does not exist, lines are 0 to %d", line, b->device.lines - 1);
        control_error(text);
        return NULL;
    }
    return &b->phones[line];
}

static long audible(const words *w, size_t index)
{
    char text[96];
    long hz = whole(w, index, "a frequency");

    if (hz == NOT_WHOLE || (hz >= 1 && hz < 4000)) {
        return hz;
    }
    (void)snprintf(text, sizeof text, "%ld Hz is outside of a telephone's 1 to 3999 Hz", hz);
    control_error(text);
    return NOT_WHOLE;
}

static void act_on(phone *p, act what, long ms, char digit)
{
    if (ms != NOT_WHOLE && !phone_script(p, what, (unsigned)(ms > 65535 ? 65535 : ms), digit)) {
        control_error("the script is full");
    }
}

static void dial(phone *p, const words *w)
{
    long on_ms = w->count > 3 ? whole(w, 3, "") : 80;
    long gap_ms = w->count > 4 ? whole(w, 4, "") : 80;
    const char *digit;
    char text[64];

    if (w->count < 3) {
        control_error("digits is missing");
        return;
    }
    for (digit = w->word[2]; *digit != 0; digit++) {
        if (strchr(DIGITS, *digit) == NULL) {
            (void)snprintf(text, sizeof text, "a telephone has no key '%c'", *digit);
            control_error(text);
            return;
        }
    }
    for (digit = w->word[2]; *digit != 0; digit++) {
        act_on(p, ACT_PRESS, on_ms, *digit);
        act_on(p, ACT_RELEASE, gap_ms, 0);
    }
}

static void flash(phone *p, const words *w)
{
    long ms = w->count > 2 ? whole(w, 2, "") : 120;

    act_on(p, ACT_BREAK, ms, 0);
    act_on(p, ACT_MAKE, HAND_MS, 0);
}

static void pulse(phone *p, const words *w)
{
    long break_ms = w->count > 3 ? whole(w, 3, "") : 60;
    long make_ms = w->count > 4 ? whole(w, 4, "") : 40;
    long gap_ms = w->count > 5 ? whole(w, 5, "") : 600;
    const char *digit;
    int left;

    if (w->count < 3 || strspn(w->word[2], "0123456789") != strlen(w->word[2])) {
        control_error("digits of a dial are 0 to 9");
        return;
    }
    for (digit = w->word[2]; *digit != 0; digit++) {
        for (left = *digit == '0' ? 10 : *digit - '0'; left > 0; left--) {
            act_on(p, ACT_BREAK, break_ms, 0);
            act_on(p, ACT_MAKE, make_ms, 0);
        }
        act_on(p, ACT_WAIT, gap_ms, 0);
    }
}

static void speak(phone *p, const words *w)
{
    long hz = w->count > 2 && strcmp(w->word[2], "none") == 0 ? 0 : audible(w, 2);

    if (hz != NOT_WHOLE) {
        p->voice_hz = (uint16_t)hz;
        p->voice_at = 0;
    }
}

static void hears(const phone *p, const words *w)
{
    long hz = audible(w, 2);
    long ms = w->count > 3 ? whole(w, 3, "") : 300;

    if (hz != NOT_WHOLE && ms != NOT_WHOLE) {
        (void)printf("{\"type\": \"heard\", \"line\": %u, \"hz\": %ld, \"dbm0\": %.2f", p->line, hz,
                     phone_hears(p, (unsigned)hz, (unsigned)ms));
        end_line();
    }
}

static void say_samples(const int16_t *pcm, size_t count)
{
    size_t n;

    for (n = 0; n < count; n++) {
        uint16_t sample = (uint16_t)pcm[n];

        (void)printf("%02x%02x", sample & 255u, sample >> 8);
    }
}

/* The last milliseconds of what was heard, as 16-bit little-endian samples in hexadecimal digits. */
static void record(const phone *p, const words *w)
{
    long ms = whole(w, 2, "milliseconds");
    size_t back;

    if (ms == NOT_WHOLE) {
        return;
    }
    back = (size_t)ms / LC_TICK_MS;
    back = back > PHONE_HEARD_TICKS ? PHONE_HEARD_TICKS : back;
    (void)printf("{\"type\": \"recorded\", \"line\": %u, \"pcm\": \"", p->line);
    while (back-- > 0) {
        say_samples(phone_heard(p, back), LC_AUDIO_BYTES);
    }
    (void)putchar('"');
    end_line();
}

/* What was on the wires as data, see phone.h. */
static void wires(const phone *p)
{
    (void)printf("{\"type\": \"wires\", \"line\": %u, \"pcm\": \"", p->line);
    say_samples(p->wires, p->wires_count);
    (void)putchar('"');
    end_line();
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static void say_program(const lc_tone *tone)
{
    uint8_t i;
    uint8_t k;

    if (!tone->playing) {
        (void)fputs("null", stdout);
        return;
    }
    (void)printf("{\"level_dbm0\": %d, \"once\": %s, \"segments\": [", tone->program.level_dbm0,
                 truth(tone->program.once));
    for (i = 0; i < tone->program.segments_count; i++) {
        const lc_tone_segment *segment = &tone->program.segments[i];

        (void)printf("%s{\"frequencies\": [", i > 0 ? ", " : "");
        for (k = 0; k < segment->frequencies_count; k++) {
            (void)printf("%s%u", k > 0 ? ", " : "", segment->frequencies[k]);
        }
        (void)printf("], \"ms\": %u}", segment->ms);
    }
    (void)fputs("]}", stdout);
}

static void say_phone(const board *b, const phone *p)
{
    static const char *const PATTERN[] = {"off", "on", "blink", "flash"};
    static const char *const COLOUR[] = {"green", "amber", "red"};
    const lc_line *line = &b->device.line[p->line];

    (void)printf("{\"line\": %u, \"off_hook\": %s, \"ringing\": %s, \"reversed\": %s, \"wires\": %zu", p->line, truth(line->off_hook),
                 truth(line->ringer.ringing), truth(p->reversed), p->wires_count);
    (void)printf(", \"tone\": %s, \"audio\": %s, \"frames\": [%u, %u], \"lamp\": \"%s\", \"colour\": \"%s\", ",
                 truth(line->tone.playing), truth(line->talking), (unsigned)line->heard, (unsigned)p->frames_out,
                 PATTERN[b->lamps[p->line].pattern & 3u], COLOUR[b->lamps[p->line].colour % 3u]);
    (void)printf("\"scripted\": %s, \"program\": ", truth(p->script_count > 0));
    say_program(&line->tone);
    (void)putchar('}');
}

static void state(const board *b)
{
    bool first = true;
    uint8_t i;

    (void)printf("{\"type\": \"state\", \"connected\": %s, \"rate\": %u, \"garbled\": %lu, \"mischief\": {",
                 truth(b->device.session.up), (unsigned)b->device.session.rate, b->garbled);
    for (i = 0; i < PRANKS; i++) {
        if (b->to_card.done[i] + b->to_host.done[i] > 0) {
            (void)printf("%s\"%s\": %u", first ? "" : ", ", PRANK_NAMES[i], b->to_card.done[i] + b->to_host.done[i]);
            first = false;
        }
    }
    (void)fputs("}, \"phones\": [", stdout);
    for (i = 0; i < b->device.lines; i++) {
        (void)fputs(i > 0 ? ", " : "", stdout);
        say_phone(b, &b->phones[i]);
    }
    (void)putchar(']');
    end_line();
}

static void unkind(board *b, const words *w)
{
    long seed = whole(w, 1, "a seed");
    mischief wrong;
    size_t i;

    if (seed == NOT_WHOLE) {
        return;
    }
    memset(&wrong, 0, sizeof wrong);
    wrong.noise_bytes = 40;
    wrong.stall_ms = 400;
    for (i = 2; i < w->count; i++) {
        char *value = strchr(w->word[i], '=');
        const char *fault = "a mischief is NAME=VALUE";

        if (value != NULL) {
            *value = 0;
            fault = mischief_set(&wrong, w->word[i], value + 1);
        }
        if (fault != NULL) {
            control_error(fault);
            return;
        }
    }
    board_unkind(b, w->count > 2 ? &wrong : &ROUGH, (uint64_t)seed);
}

static void raw(const board *b, const char *hex)
{
    static const char DIGIT[] = "0123456789abcdef";
    uint8_t bytes[BABBLE_LIMIT];
    size_t length = 0;

    for (; hex[0] != 0 && hex[1] != 0 && length < sizeof bytes; hex += 2) {
        const char *high = strchr(DIGIT, hex[0]);
        const char *low = strchr(DIGIT, hex[1]);

        if (high == NULL || low == NULL) {
            control_error("bytes are two hexadecimal digits each");
            return;
        }
        bytes[length++] = (uint8_t)((high - DIGIT) * 16 + (low - DIGIT));
    }
    board_put(b, bytes, length);
}

static bool do_phone(board *b, const words *w)
{
    static const char *const NAMES[] = {"off", "on", "dial", "flash", "pause", "speak", "pulse", "record", "wires", "in_calls", "hears"};
    phone *p;
    size_t which = 0;

    while (which < sizeof NAMES / sizeof NAMES[0] && strcmp(NAMES[which], w->word[0]) != 0) {
        which++;
    }
    if (which == sizeof NAMES / sizeof NAMES[0]) {
        return false;
    }
    p = phone_of(b, w);
    if (p == NULL) {
        return true;
    }
    switch (which) {
    case 0:
        act_on(p, ACT_LIFT, HAND_MS, 0);
        break;
    case 1:
        act_on(p, ACT_REPLACE, 0, 0);
        break;
    case 2:
        dial(p, w);
        break;
    case 3:
        flash(p, w);
        break;
    case 4:
        act_on(p, ACT_WAIT, whole(w, 2, "milliseconds"), 0);
        break;
    case 5:
        speak(p, w);
        break;
    case 6:
        pulse(p, w);
        break;
    case 7:
        record(p, w);
        break;
    case 8:
        wires(p);
        break;
    case 9:
        p->not_in_calls = w->count > 2 && strcmp(w->word[2], "no") == 0;
        break;
    default:
        hears(p, w);
        break;
    }
    return true;
}

static bool do_board(board *b, const words *w)
{
    const char *name = w->word[0];
    long number;

    if (strcmp(name, "state") == 0) {
        state(b);
    } else if (strcmp(name, "button") == 0) {
        number = whole(w, 1, "milliseconds");
        if (number != NOT_WHOLE) {
            board_press_button(b, (uint32_t)number);
        }
    } else if (strcmp(name, "reset") == 0) {
        board_reset(b, LC_RESET_CAUSE_WATCHDOG);
    } else if (strcmp(name, "unplug") == 0 || strcmp(name, "plug") == 0) {
        b->plugged = *name == 'p';
        (void)board_run(b);
    } else if (strcmp(name, "unkind") == 0) {
        unkind(b, w);
    } else if (strcmp(name, "kind") == 0) {
        board_unkind(b, NULL, 0);
    } else if (strcmp(name, "raw") == 0) {
        raw(b, w->count > 1 ? w->word[1] : "");
    } else if (strcmp(name, "babble") == 0) {
        number = whole(w, 1, "a number of bytes");
        if (number != NOT_WHOLE) {
            board_babble(b, (size_t)(number > BABBLE_LIMIT ? BABBLE_LIMIT : number));
        }
    } else {
        return false;
    }
    return true;
}

bool control_do(board *b, char *text)
{
    words w = {{NULL}, 0};
    char fault[96];
    char *word;

    for (word = strtok(text, " \t\r\n"); word != NULL && w.count < WORDS; word = strtok(NULL, " \t\r\n")) {
        w.word[w.count++] = word;
    }
    if (w.count == 0) {
        return true;
    }
    if (strcmp(w.word[0], "quit") == 0) {
        return false;
    }
    if (!do_phone(b, &w) && !do_board(b, &w)) {
        (void)snprintf(fault, sizeof fault, "no command '%.40s'", w.word[0]);
        control_error(fault);
    }
    return true;
}
