"""The configuration that a run of the agent works with, tried out before anything rests on it."""

from __future__ import annotations

import os
from pathlib import Path

import structlog
from msgspec import Struct

from agent import logs
from agent.config import Config, ConfigError, KeptCopyError, load_or_last_good, read_credential
from agent.data import DataError, Tones, load_tones
from agent.operator.client import OperatorClient
from agent.operator.errors import OperatorError
from agent.paths import kept_configuration
from agent.plain import NoOperator

_log = structlog.get_logger("agent")


class Settings(Struct, frozen=True):
    """A configuration that can be used, and what is wrong with the file where it is not the file's."""

    config: Config
    trouble: ConfigError | None

    @property
    def refused(self) -> bool:
        """Whether the file was refused and an earlier configuration stands in for it."""
        return self.trouble is not None and not isinstance(self.trouble, KeptCopyError)


def operator_client(config: Config) -> OperatorClient | NoOperator:
    """The client of the configured operator. Raises ConfigError, OperatorError, ValueError."""
    path, setting = config.secret
    secret = read_credential(path, setting)
    operator = config.operator
    if operator is None:
        return NoOperator()
    ca_file = Path(operator.ca_file) if operator.ca_file else None
    return OperatorClient(operator.url, operator.device_id, secret, ca_file=ca_file)


def try_out(config: Config) -> None:
    """Raise ConfigError where the secret, the operator's address, tones, announcements or the store can't be used."""
    try:
        operator_client(config)
    except (OperatorError, ValueError) as error:
        raise ConfigError(f"operator: {error}; correct url, device_id or credential_file") from error
    try:
        load_tones(country=config.general.tones)
    except DataError as error:
        raise ConfigError(f"general.tones: {error}") from error
    try:
        load_country(config)
    except DataError as error:
        raise ConfigError(str(error)) from error
    if config.general.announcements:
        # Few operators have recordings of their own, and reading one brings half of the line card's protocol with it.
        from agent.announcements import AnnouncementsError, check_folder

        try:
            check_folder(Path(config.general.announcements))
        except AnnouncementsError as error:
            raise ConfigError(f"general.announcements: {error}") from error
    folder = Path(config.store.folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"store.folder: {folder} cannot be made ({error.strerror}); name another") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(f"store.folder: {folder} may not be written by the agent; change its owner, or name another")


def load_country(config: Config) -> Tones:
    """Tones, ringing and wires as they are configured. Raises DataError."""
    telephones = config.telephones
    return load_tones(country=config.general.tones).with_telephones(
        flash_min_ms=telephones.flash_min_ms, flash_max_ms=telephones.flash_max_ms,
        caller_id=telephones.caller_id.value, moment=telephones.caller_id_moment.value,
        in_calls=telephones.caller_id_in_calls,
    )  # fmt: skip


def load_settings(path: Path) -> Settings:
    """Read the configuration; where the file is refused, the last good one. Raises ConfigError where there is none."""
    config, trouble = load_or_last_good(path, kept_configuration(), try_out)
    logs.configure(config.log.level, config.log.format)
    settings = Settings(config, trouble)
    complain(settings)
    return settings


def complain(settings: Settings) -> None:
    """Log what is wrong with the file."""
    if isinstance(settings.trouble, KeptCopyError):
        _log.error("configuration_not_kept", detail=str(settings.trouble))
    elif settings.trouble is not None:
        for problem in settings.trouble.problems:
            _log.error("configuration_refused", problem=problem, instead="the last good one")
