/* SPDX-License-Identifier: 0BSD
 * A pseudo-terminal that a host opens like a serial port. */
#ifndef LC_HOST_PTY_H
#define LC_HOST_PTY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pty {
    int master; /* -1: unplugged */
    int slave;
    char device[64];
    const char *link; /* a symbolic link that stays when the device's name changes; NULL: none */
} pty;

/* False, with errno, where it cannot be made. */
bool pty_plug(pty *p);
void pty_unplug(pty *p);

/* The rate that the host has set its end to, in baud; 0: none that is known. */
uint32_t pty_host_rate(const pty *p);

#endif
