/* SPDX-License-Identifier: 0BSD */
#include "modem.h"

#include <math.h>
#include <string.h>

#include "sound.h"

#define BITS_PER_SECOND 1200u
#define SEIZURE_BITS 300u
#define MARK_BITS 180u
#define MARK_BITS_OFF_HOOK 80u
#define LEVEL_DBM0 (-13.5)
#define TWO_PI 6.283185307179586

void modem_send(modem *m, const lc_cid_send *order, bool off_hook)
{
    memset(m, 0, sizeof *m);
    if (order != NULL) {
        m->order = *order;
        m->off_hook = off_hook;
        m->sounds = true;
    }
}

/* Bit `index` of the burst: 0, 1, or -1 behind its end. */
static int bit(const modem *m, uint32_t index)
{
    uint32_t seizure = m->off_hook ? 0 : SEIZURE_BITS;
    uint32_t marks = m->off_hook ? MARK_BITS_OFF_HOOK : MARK_BITS;
    uint32_t place;

    if (index < seizure) {
        return (int)(index % 2);
    }
    index -= seizure;
    if (index < marks) {
        return 1;
    }
    index -= marks;
    if (index >= 10u * m->order.message_length) {
        return index == 10u * m->order.message_length ? 1 : -1;
    }
    place = index % 10;
    if (place == 0 || place == 9) {
        return place == 9;
    }
    return m->order.message[index / 10] >> (place - 1) & 1;
}

int16_t modem_sample(modem *m)
{
    bool bell = m->order.standard == LC_CID_STANDARD_BELLCORE_FSK;
    int value = m->sounds ? bit(m, (uint32_t)((uint64_t)m->at * BITS_PER_SECOND / SAMPLE_RATE)) : -1;
    double hz = value == 1 ? (bell ? 1200.0 : 1300.0) : (bell ? 2200.0 : 2100.0);
    int16_t sample;

    if (value < 0) {
        m->sounds = false;
        return 0;
    }
    m->at++;
    sample = (int16_t)rint(peak_of(LEVEL_DBM0) * sin(m->phase));
    m->phase = fmod(m->phase + TWO_PI * hz / SAMPLE_RATE, TWO_PI);
    return sample;
}
