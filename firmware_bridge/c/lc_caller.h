/* SPDX-License-Identifier: 0BSD
 * What a telephone is told of a caller, and of waiting messages: when which sound is on the wires. Used by lc_device and
 * lc_line alone. Source of the times: ETSI EN 300 659-1 (handset down) and -2 (in a conversation). */
#ifndef LC_CALLER_H
#define LC_CALLER_H

#include "lc_device.h"

/* Gives an lc_status. */
uint8_t lc_caller_order(lc_device *device, uint8_t line, const lc_cid_send *order, uint64_t now_ms);
uint8_t lc_caller_messages(lc_device *device, uint8_t line, uint8_t mode);

/* Ringing was ordered; whether it has to wait for what comes before it. */
bool lc_caller_ringing(lc_device *device, uint8_t line, const lc_ring_start *order, uint64_t now_ms);

/* A ringing burst has ended, and a pause of this length has begun: used where it is long enough. */
void lc_caller_pause(lc_device *device, uint8_t line, uint32_t pause_ms, uint64_t now_ms);

/* A key was heard; whether it was the telephone's answer and nobody's key. */
bool lc_caller_answer(lc_device *device, uint8_t line, char key, uint64_t now_ms);

/* Whether speech must not be heard, on either side. */
bool lc_caller_mutes(const lc_device *device, uint8_t line);

/* The handset was lifted or replaced, ringing has ended, or the session has. */
void lc_caller_stop(lc_device *device, uint8_t line, uint8_t result, uint64_t now_ms);

/* Live through 10 ms. */
void lc_caller_tick(lc_device *device, uint8_t line, uint64_t now_ms);

#endif
