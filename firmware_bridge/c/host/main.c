/* SPDX-License-Identifier: 0BSD
 * The reference device as a Linux process: a line card on a pseudo-terminal, with telephones told what to do on stdin.
 *
 *     line-card --pty PATH [--lines N] [--firmware TEXT] [--capabilities BITS] [--off-hook LINE] [--unkind SEED]
 *
 * Commands, one a line (LINE counts from 0):
 *     off LINE | on LINE | dial LINE DIGITS [ON_MS GAP_MS] | flash LINE [MS] | pause LINE MS | speak LINE HZ|none
 *     hears LINE HZ [MS] | state | button MS | reset | unplug | plug | unkind SEED [NAME=VALUE ...] | kind
 *     babble BYTES | raw HEX | quit
 * Each line of output is a JSON object with `type`: `ready`, `event`, `heard`, `state`, `error`. */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "board.h"
#include "control.h"

#define LINE_BYTES 16384

static const uint32_t BAUDS[] = {115200, 460800, 921600, 1000000, 2000000};
static board the_board;

static bool take_argument(board *b, const char *name, const char *value)
{
    unsigned long number = strtoul(value, NULL, 10);

    if (strcmp(name, "--pty") == 0) {
        b->port.link = value;
    } else if (strcmp(name, "--firmware") == 0) {
        b->identity.firmware = value;
    } else if (strcmp(name, "--lines") == 0 && number >= 1 && number <= LC_LINES) {
        b->identity.lines = (uint8_t)number;
    } else if (strcmp(name, "--capabilities") == 0) {
        b->identity.capabilities = (uint32_t)number;
    } else if (strcmp(name, "--off-hook") == 0 && number < LC_LINES) {
        b->phones[number].off_hook = true;
    } else if (strcmp(name, "--unkind") == 0) {
        board_unkind(b, &ROUGH, number);
    } else {
        return false;
    }
    return true;
}

/* Carries out the whole lines of what was read; false where one was `quit`, or stdin has ended. */
static bool read_commands(board *b)
{
    static char buffer[LINE_BYTES];
    static size_t used;
    ssize_t length = read(STDIN_FILENO, buffer + used, sizeof buffer - used);
    char *end;

    if (length <= 0) {
        return false;
    }
    used += (size_t)length;
    while ((end = memchr(buffer, '\n', used)) != NULL) {
        size_t taken = (size_t)(end - buffer) + 1;

        *end = 0;
        if (!control_do(b, buffer)) {
            return false;
        }
        memmove(buffer, buffer + taken, used - taken);
        used -= taken;
    }
    if (used == sizeof buffer) {
        control_error("a command is longer than 16383 bytes");
        used = 0;
    }
    return true;
}

int main(int argc, char **argv)
{
    board *b = &the_board;
    struct pollfd ready[2];
    bool go_on = true;
    int i;

    b->identity.lines = LC_LINES > 2 ? 2 : LC_LINES;
    b->identity.capabilities = LC_CAPABILITY_DTMF_DECODER | LC_CAPABILITY_PULSE_DECODER | LC_CAPABILITY_CALLER_ID
                               | LC_CAPABILITY_POLARITY | LC_CAPABILITY_VMWI | LC_CAPABILITY_LAMPS
                               | LC_CAPABILITY_BUTTON | LC_CAPABILITY_BAUD_SWITCH;
    b->identity.reset_cause = LC_RESET_CAUSE_POWER_ON;
    b->identity.bauds = BAUDS;
    b->identity.baud_count = sizeof BAUDS / sizeof BAUDS[0];
    b->identity.firmware = "c-1.0.0";
    b->identity.hardware = "reference";
    b->port.master = b->port.slave = -1;
    b->plugged = true;
    board_unkind(b, NULL, 0);
    for (i = 1; i < argc; i += 2) {
        if (i + 1 == argc || !take_argument(b, argv[i], argv[i + 1])) {
            (void)fprintf(stderr, "line-card: %s is not understood\n", argv[i]);
            return 2;
        }
    }
    if (getrandom(&b->identity.boot_id, sizeof b->identity.boot_id, 0) != sizeof b->identity.boot_id) {
        perror("line-card: no random number");
        return 1;
    }
    b->identity.boot_id = (b->identity.boot_id >> 1) + 1;
    b->tick_ms = boot_ms();
    if (!pty_plug(&b->port)) {
        perror("line-card: the pseudo-terminal cannot be made");
        return 1;
    }
    board_start(b);
    control_ready(b);
    while (go_on) {
        int wait_ms = board_run(b);

        ready[0].fd = STDIN_FILENO;
        ready[1].fd = b->port.master; /* negative ones are ignored */
        ready[0].events = ready[1].events = POLLIN;
        ready[0].revents = ready[1].revents = 0;
        if (poll(ready, 2, wait_ms) > 0) {
            if (ready[1].revents != 0) {
                board_read(b);
            }
            if (ready[0].revents != 0) {
                go_on = read_commands(b);
            }
        }
    }
    pty_unplug(&b->port);
    return 0;
}
