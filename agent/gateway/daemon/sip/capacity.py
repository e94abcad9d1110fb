"""How many accounts the SIP library carries: tried out in a process that may die of it.

The limit is compiled in (`PJSUA_MAX_ACC`) and cannot be asked for. One account too many is an assertion, which takes
the whole process along: here a child's, which has told each account that it has made.
"""

from __future__ import annotations

import sys
from typing import Final

UNPROBED_ACCOUNTS: Final = 4
"""What is dared without a trial: as many as the library's own sample for small devices has; known packages have 8."""
MOST_ACCOUNTS: Final = 32
"""More registrations than a subscription can have: nobody needs to know of any more."""
_PATIENCE_S: Final = 10.0


class CapacityError(Exception):
    """The trial has told nothing; the message says why."""


def probe() -> int:
    """The number of accounts, from 1 to `MOST_ACCOUNTS`: some 0.3 s. Raises CapacityError."""
    # Once in the life of a library version: no other start pays for the module.
    import subprocess

    command = [sys.executable, "-m", __name__]
    try:
        child = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            timeout=_PATIENCE_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise CapacityError(f"the trial could not be run: {type(error).__name__}") from error
    return counted(child.stdout, child.returncode)


def counted(told: str, exit_code: int) -> int:
    """What a child's lines say, each of which is a number of accounts. Raises CapacityError."""
    numbers = [line for line in told.splitlines() if line.isascii() and line.isdigit() and len(line) < 4]
    count = int(numbers[-1]) if numbers else 0
    if not 1 <= count <= MOST_ACCOUNTS:
        raise CapacityError(f"the trial ended with {exit_code} before its first account")
    return count


def _try_out() -> None:
    import resource

    import pjsua2 as pj

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.logConfig.level = config.logConfig.consoleLevel = 0
    endpoint.libInit(config)
    transport = pj.TransportConfig()
    # An account wants a transport; on this one nothing is ever sent.
    transport.boundAddress = "127.0.0.1"
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    kept = []
    for number in range(1, MOST_ACCOUNTS + 1):
        account = pj.Account()
        wanted = pj.AccountConfig()
        wanted.idUri = f"sip:{number}@trial.invalid"
        wanted.regConfig.registerOnAdd = False
        account.create(wanted)
        kept.append(account)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    import os

    try:
        _try_out()
    finally:
        # Whatever the library would do at the end, there is nobody to do it for.
        os._exit(0)
