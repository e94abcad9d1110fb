"""The reference device in C, built and run: as a process on a pty, and its core as a library."""

from firmware_bridge.reference.build import BuildError, build
from firmware_bridge.reference.card import ReferenceCard
from firmware_bridge.reference.phone import ReferencePhone

__all__ = ["BuildError", "ReferenceCard", "ReferencePhone", "build"]
