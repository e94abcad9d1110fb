/* SPDX-License-Identifier: 0BSD
 * A bad wire, one direction of it: loses, repeats, cuts, damages, delays and holds back, by a seed. */
#ifndef LC_HOST_WIRE_H
#define LC_HOST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_PIECES 1024
#define WIRE_PIECE_BYTES 272

/* Shares are of frames, 0 to 1, but `flip` of bytes. All zero: a perfect wire. */
typedef struct mischief {
    double loss, repeat, cut, flip, noise, stall, reset;
    int noise_bytes, delay_ms, jitter_ms, stall_ms, greeting;
} mischief;

typedef enum prank { PRANK_LOSS, PRANK_REPEAT, PRANK_CUT, PRANK_FLIP, PRANK_NOISE, PRANK_STALL, PRANK_RESET, PRANKS } prank;
extern const char *const PRANK_NAMES[PRANKS];
extern const mischief ROUGH;

typedef struct wire {
    mischief wrong;
    uint64_t chance;
    bool reset_wanted; /* the card was to restart in mid-frame */
    unsigned done[PRANKS];
    uint64_t free_ms;
    size_t first, count;
    struct {
        uint64_t due_ms;
        size_t length;
        uint8_t bytes[WIRE_PIECE_BYTES];
    } pieces[WIRE_PIECES];
} wire;

void wire_init(wire *w, uint64_t seed, const mischief *wrong);

/* Carries whole frames. */
void wire_put(wire *w, const uint8_t *data, size_t length, uint64_t now_ms);
void wire_noise(wire *w, size_t length, uint64_t now_ms);

/* What arrives now, one piece at a time; 0: nothing. `out` has WIRE_PIECE_BYTES. */
size_t wire_take(wire *w, uint8_t *out, uint64_t now_ms);
uint64_t wire_next_ms(const wire *w);
void wire_clear(wire *w);

/* Sets one kind of mischief by its name; what is wrong with that in a sentence, NULL where nothing is. */
const char *mischief_set(mischief *wrong, const char *name, const char *value);

/* What an end that listens at `read_rate` makes of bytes sent at `sent_rate`; `out` has 4 * length. */
size_t garble(uint64_t *chance, const uint8_t *data, size_t length, uint32_t sent_rate, uint32_t read_rate,
              uint8_t *out);

#endif
