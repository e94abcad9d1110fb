"""Decisions only: time, zone and randomness are arguments, results are values. Nothing here touches the world."""
