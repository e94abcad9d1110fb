/* SPDX-License-Identifier: 0BSD */
#define _GNU_SOURCE
#include "pty.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static bool point_link(const pty *p)
{
    char fresh[4096];

    if (p->link == NULL) {
        return true;
    }
    if (snprintf(fresh, sizeof fresh, "%s.new", p->link) >= (int)sizeof fresh) {
        return false;
    }
    (void)unlink(fresh);
    return symlink(p->device, fresh) == 0 && rename(fresh, p->link) == 0;
}

bool pty_plug(pty *p)
{
    struct termios raw;

    p->slave = -1;
    p->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (p->master < 0 || grantpt(p->master) != 0 || unlockpt(p->master) != 0
        || ptsname_r(p->master, p->device, sizeof p->device) != 0) {
        return false;
    }
    /* The slave stays open: its raw mode stays, and a host that closes it is only silence. */
    p->slave = open(p->device, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (p->slave < 0 || tcgetattr(p->slave, &raw) != 0) {
        return false;
    }
    cfmakeraw(&raw);
    return tcsetattr(p->slave, TCSANOW, &raw) == 0 && fcntl(p->master, F_SETFL, O_NONBLOCK) == 0 && point_link(p);
}

void pty_unplug(pty *p)
{
    if (p->link != NULL) {
        (void)unlink(p->link);
    }
    if (p->master >= 0) {
        (void)close(p->master);
    }
    if (p->slave >= 0) {
        (void)close(p->slave);
    }
    p->master = p->slave = -1;
}

uint32_t pty_host_rate(const pty *p)
{
    static const struct {
        speed_t speed;
        uint32_t baud;
    } KNOWN[] = {
        {B9600, 9600}, {B19200, 19200}, {B38400, 38400}, {B57600, 57600}, {B115200, 115200}, {B230400, 230400},
        {B460800, 460800}, {B921600, 921600}, {B1000000, 1000000}, {B2000000, 2000000},
    };
    struct termios set;
    size_t i;

    if (p->master < 0 || tcgetattr(p->master, &set) != 0) {
        return 0;
    }
    for (i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++) {
        if (cfgetospeed(&set) == KNOWN[i].speed) {
            return KNOWN[i].baud;
        }
    }
    return 0;
}
