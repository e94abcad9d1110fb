/* SPDX-License-Identifier: 0BSD
 * The board: the device with telephones on its lines, behind a pseudo-terminal, on a real 10 ms clock. */
#ifndef LC_HOST_BOARD_H
#define LC_HOST_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "../lc_device.h"
#include "phone.h"
#include "pty.h"
#include "wire.h"

typedef struct board {
    lc_device device;
    lc_identity identity;
    phone phones[LC_LINES];
    lc_led lamps[LC_LINES]; /* of the lines */
    pty port;
    bool plugged;
    bool restart_wanted;
    uint8_t restart_cause;
    bool quiet;
    uint64_t tick_ms;
    uint64_t chance;
    unsigned long garbled;
    wire to_card, to_host;
} board;

uint64_t boot_ms(void);

/* Powers the board on: the device starts with the handsets as they are. */
void board_start(board *b);

/* The microcontroller restarts by itself; everything asked is forgotten. */
void board_reset(board *b, uint8_t cause);

void board_press_button(board *b, uint32_t held_ms);
void board_unkind(board *b, const mischief *wrong, uint64_t seed);

/* Sends bytes that no card would: these, or so many of noise. Without a reader they are lost, as on a wire. */
void board_put(const board *b, const uint8_t *data, size_t length);
void board_babble(board *b, size_t length);

/* Everything that is due; gives how many milliseconds nothing will be. */
int board_run(board *b);

/* Bytes wait at the port. */
void board_read(board *b);

#endif
