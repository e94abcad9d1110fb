"""Faults ordered over HTTP and met by the SIP platform: the one thing both threads share."""

from __future__ import annotations

import threading


class SipFaults:
    """Counters that run down; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refuse = 0
        self._silent = 0
        self._retry_after_s: int | None = None

    def order(self, *, refuse: int, silent: int, retry_after_s: int | None) -> None:
        """Replace what was ordered before."""
        with self._lock:
            self._refuse, self._silent, self._retry_after_s = refuse, silent, retry_after_s

    def left(self) -> tuple[int, int]:
        """Return how many requests are still to be refused, and to be left without answer."""
        with self._lock:
            return self._refuse, self._silent

    @property
    def retry_after_s(self) -> int | None:
        """Retry-After of the refusals."""
        with self._lock:
            return self._retry_after_s

    def take_silence(self) -> bool:
        """Whether the next request stays without answer."""
        with self._lock:
            strikes = self._silent > 0
            self._silent -= strikes
            return strikes

    def take_refusal(self) -> bool:
        """Whether the next request is refused."""
        with self._lock:
            strikes = self._refuse > 0
            self._refuse -= strikes
            return strikes
