/* SPDX-License-Identifier: 0BSD */
#include "sound.h"

#include <math.h>
#include <string.h>

#define FULL_SCALE 32768.0
#define FULL_SCALE_DBM0 3.14 /* of a sine in A-law: ITU-T G.711, note to table 5 */
#define TWO_PI 6.283185307179586

int16_t alaw_expand(uint8_t code)
{
    uint8_t bits = (uint8_t)(code ^ 0x55u);
    int segment = (bits >> 4) & 7;
    int magnitude = ((bits & 15) << 4) + 8;

    if (segment > 0) {
        magnitude = (magnitude + 0x100) << (segment - 1);
    }
    return (int16_t)((bits & 0x80u) != 0 ? magnitude : -magnitude);
}

uint8_t alaw_compress(int16_t value)
{
    int sign = value >= 0 ? 0x80 : 0;
    int magnitude = (value >= 0 ? value : ~value) >> 4;
    int segment = 1;
    int code;

    while (magnitude >> (segment + 4) != 0) {
        segment++;
    }
    code = magnitude < 16 ? magnitude : (segment << 4) | ((magnitude >> (segment - 1)) & 15);
    return (uint8_t)((code | sign) ^ 0x55);
}

static int16_t clipped(double value)
{
    return (int16_t)(value > 32767.0 ? 32767.0 : value < -32767.0 ? -32767.0 : value);
}

bool key_hz(char key, uint16_t pair[2])
{
    static const char KEYS[] = "123A456B789C*0#D";
    static const uint16_t LOW[4] = {697, 770, 852, 941};
    static const uint16_t HIGH[4] = {1209, 1336, 1477, 1633};
    const char *found = key == 0 ? NULL : strchr(KEYS, key);

    if (found != NULL) {
        pair[0] = LOW[(found - KEYS) / 4];
        pair[1] = HIGH[(found - KEYS) % 4];
    }
    return found != NULL;
}

int16_t amplified(int16_t sample, int cdb)
{
    return cdb == 0 ? sample : clipped(rint(sample * pow(10.0, cdb / 2000.0)));
}

int16_t clipped_sum(int16_t one, int16_t other)
{
    return clipped((double)one + (double)other);
}

double peak_of(double dbm0)
{
    return FULL_SCALE * pow(10.0, (dbm0 - FULL_SCALE_DBM0) / 20.0);
}

int16_t sines(const uint16_t *hz, uint8_t count, double level_dbm0, uint64_t n)
{
    double peak = peak_of(level_dbm0);
    double sum = 0.0;
    uint8_t i;

    for (i = 0; i < count; i++) {
        sum += sin(TWO_PI * (double)((hz[i] * n) % SAMPLE_RATE) / SAMPLE_RATE);
    }
    return clipped(rint(peak * sum));
}

double level_dbm0(const int16_t *pcm, size_t samples, double hz)
{
    double in_phase = 0.0;
    double quadrature = 0.0;
    double weights = 0.0;
    double peak;
    size_t n;

    for (n = 0; n < samples; n++) {
        double weight = 0.5 - 0.5 * cos(TWO_PI * ((double)n + 0.5) / (double)samples); /* Hann */

        weights += weight;
        in_phase += weight * pcm[n] * cos(TWO_PI * hz * (double)n / SAMPLE_RATE);
        quadrature += weight * pcm[n] * sin(TWO_PI * hz * (double)n / SAMPLE_RATE);
    }
    peak = weights > 0.0 ? 2.0 * hypot(in_phase, quadrature) / weights : 0.0;
    if (peak <= 0.0) {
        return SILENCE_DBM0;
    }
    peak = FULL_SCALE_DBM0 + 20.0 * log10(peak / FULL_SCALE);
    return peak > SILENCE_DBM0 ? peak : SILENCE_DBM0;
}
