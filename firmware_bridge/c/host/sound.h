/* SPDX-License-Identifier: 0BSD
 * Making tones and measuring them: levels in dBm0, A-law after ITU-T G.711. */
#ifndef LC_HOST_SOUND_H
#define LC_HOST_SOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_RATE 8000
#define SILENCE_DBM0 (-120.0)

int16_t alaw_expand(uint8_t code);
uint8_t alaw_compress(int16_t value);

/* The peak sample value of a sine of this level. */
double peak_of(double dbm0);

/* One sample of the sum of `count` sines of `level_dbm0` each, `n` samples after their begin; clipped. */
int16_t sines(const uint16_t *hz, uint8_t count, double level_dbm0, uint64_t n);

/* The level of the component at `hz`; SILENCE_DBM0 where there is none. */
double level_dbm0(const int16_t *pcm, size_t samples, double hz);

/* The two tones of a key (ITU-T Q.23); false where there is no such key. */
bool key_hz(char key, uint16_t pair[2]);

/* A sample louder by `cdb` hundredths of a decibel, clipped. */
int16_t amplified(int16_t sample, int cdb);

int16_t clipped_sum(int16_t one, int16_t other);

#endif
