/* SPDX-License-Identifier: 0BSD
 * One line of the device: ringing cadence, tone program, and the playout of speech. Used by lc_device alone. */
#ifndef LC_LINE_H
#define LC_LINE_H

#include "lc_device.h"

void lc_line_init(lc_line *line);
void lc_line_note(lc_device *device, uint8_t line, const char *what);

/* Everything that was asked ends; the handset stays where it is. */
void lc_line_idle(lc_device *device, uint8_t line, uint64_t now_ms);

/* The two tones of a key; false where there is no such key. */
bool lc_line_key_hz(char key, uint16_t pair[2]);

/* Each gives an lc_status. */
uint8_t lc_line_ring(lc_device *device, uint8_t line, const lc_ring_start *order, uint64_t now_ms);
uint8_t lc_line_play(lc_device *device, uint8_t line, const lc_tone_program *program, uint32_t duration_ms,
                     uint64_t now_ms);
uint8_t lc_line_talk(lc_device *device, uint8_t line, const lc_audio_start *order);

uint8_t lc_line_dial(lc_device *device, uint8_t line, const lc_dtmf_send *order, uint64_t now_ms);
uint8_t lc_line_test_wires(lc_device *device, uint8_t line, const lc_line_test_start *order);

/* The wires are needed: a test that runs has ended. */
void lc_line_abort_test(lc_device *device, uint8_t line, uint64_t now_ms);

void lc_line_stop_ring(lc_device *device, uint8_t line, uint64_t now_ms);
void lc_line_stop_tone(lc_device *device, uint8_t line);
void lc_line_stop_talk(lc_device *device, uint8_t line);

/* A frame of speech came from the host, in answer to ours with this sample counter. */
void lc_line_hear(lc_device *device, uint8_t line, uint32_t counter, const uint8_t *codes, size_t length);

/* Live through 10 ms. */
void lc_line_tick(lc_device *device, uint8_t line, uint64_t now_ms);

#endif
