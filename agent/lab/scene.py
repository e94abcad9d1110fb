"""The lab's cast and its files: who lives in it, their numbers and secrets, drawn anew each time."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.core.terms import Tone
from agent.data import load_tones
from agent.lab.operator.config import LabConfig, LabDevice, LabSubscription, LabUser, check, save
from agent.lab.subscriber import Behaviour, Subscriber
from agent.lab.subscriber import Config as SubscriberConfig
from agent.operator.api import Number, OutgoingLine
from firmware_bridge.simulator import Maker

PRODUCT = "privat"
OWN_NUMBERS = ("+4721000001", "+4721000002")
SWEDEN = "+4681234567"
SWEDEN_DIALLED = "004681234567#"
KARI = "+4722345678"
BUSY = "+4791234567"
BUSY_DIALLED = "91234567"

FAR_TONE_HZ = 1004
"""What the subscriber in Sweden plays before it echoes."""
NEAR_TONE_HZ = 800
"""What the simulated phones speak."""
DIAL_TONE = load_tones().tones[Tone.DIAL].segments[0].frequencies[0]


class Scene(Struct, frozen=True):
    """Paths and secrets of one lab."""

    folder: Path
    operator: LabConfig
    page_port: int

    @property
    def operator_config(self) -> Path:
        """Configuration of the operator process."""
        return self.folder / "operator.json"

    @property
    def subscribers_config(self) -> Path:
        """Configuration of the subscribers' process."""
        return self.folder / "subscribers.json"

    @property
    def agent_config(self) -> Path:
        """The agent's `agent.toml`."""
        return self.folder / "agent.toml"

    @property
    def agent_folder(self) -> Path:
        """The agent's store."""
        return self.folder / "agent"

    @property
    def gateway_folder(self) -> Path:
        """The gateway's last good configuration."""
        return self.folder / "gateway"

    @property
    def firmware_keys(self) -> Path:
        """Whose firmware the line card may be given: the lab's own maker, whose key is worth nothing."""
        return self.folder / "firmware-keys"

    @property
    def socket(self) -> Path:
        """The socket between gateway and agent."""
        return self.folder / "gateway.sock"

    @property
    def card(self) -> Path:
        """The line card's pty, under a name that survives its restarts."""
        return self.folder / "card"

    @property
    def page(self) -> str:
        """Address of the status page."""
        return f"http://127.0.0.1:{self.page_port}/"


FIRMWARE_MAKER = "lab"
"""Signs the line card's firmware in the lab."""


def make_scene(folder: Path, page_port: int) -> Scene:
    """Draw secrets and write the operator's configuration; the others need its ports, see `write_adapter_files`."""
    folder.mkdir(parents=True, exist_ok=True)
    users = [
        LabUser(user="line1", password=_secret(), numbers=[OWN_NUMBERS[0]]),
        LabUser(user="line2", password=_secret(), numbers=[OWN_NUMBERS[1]]),
        LabUser(user="stockholm", password=_secret(), numbers=[SWEDEN]),
        LabUser(user="kari", password=_secret(), numbers=[KARI]),
        LabUser(user="ola", password=_secret(), numbers=[BUSY]),
        LabUser(user="emergency", password=_secret()),
    ]
    operator = check(
        LabConfig(
            device=LabDevice(id="lab-adapter", secret=_secret()),
            users=users,
            subscription=LabSubscription(
                customer="Lab household",
                product=PRODUCT,
                registrations=["line1", "line2"],
                numbers=[
                    Number(number=number, registration=f"line{line + 1}", lines=[line])
                    for line, number in enumerate(OWN_NUMBERS)
                ],
                lines=[
                    OutgoingLine(line=line, registration=f"line{line + 1}", number=number)
                    for line, number in enumerate(OWN_NUMBERS)
                ],
            ),
            ledger=str(folder / "ledger.sqlite"),
            emergency_user="emergency",
        )
    )
    scene = Scene(folder=folder, operator=operator, page_port=page_port)
    save(operator, scene.operator_config)
    return scene


class Manners(Struct, frozen=True):
    """How long the subscribers ring before they answer, and how long their tone is before they echo; milliseconds."""

    answer_ms: int = 600
    tone_ms: int = 1500


def write_adapter_files(scene: Scene, http: str, sip: str, rtp_port: int, manners: Manners) -> None:
    """Write what the subscribers and the agent are told, now that the operator's addresses are known.

    `rtp_port`: first UDP port of the subscribers' speech.
    """
    behaviours = {"ola": Behaviour.BUSY}
    subscribers = SubscriberConfig(
        subscribers=[
            Subscriber(
                user=user.user, domain=scene.operator.domain, password=user.password, target=f"{sip};transport=udp",
                behaviour=behaviours.get(user.user, Behaviour.ECHO_TONE), tone_hz=FAR_TONE_HZ, tone_ms=manners.tone_ms,
                answer_ms=manners.answer_ms,
            )
            for user in scene.operator.users if user.user not in scene.operator.subscription.registrations
        ],
        listen_hz=(NEAR_TONE_HZ, FAR_TONE_HZ),
        rtp_port=rtp_port,
    )  # fmt: skip
    _private(scene.subscribers_config, msgspec.json.encode(subscribers))
    credential = scene.folder / "device.secret"
    _private(credential, scene.operator.device.secret.encode() + b"\n")
    for folder in (scene.agent_folder, scene.gateway_folder, scene.firmware_keys):
        folder.mkdir(mode=0o700, exist_ok=True)
    (scene.firmware_keys / "lab.pem").write_text(Maker(FIRMWARE_MAKER).pem, "ascii")
    settings: dict[str, dict[str, str | int]] = {
        "operator": {
            "url": http,
            "device_id": scene.operator.device.id,
            "credential_file": str(credential),
            "start_within_s": 0,
        },
        "gateway": {"socket": str(scene.socket)},
        "store": {"folder": str(scene.agent_folder)},
        "page": {"bind": "127.0.0.1", "port": scene.page_port},
    }
    lines = []
    for section, values in settings.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    scene.agent_config.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _secret() -> str:
    return secrets.token_urlsafe(18)


def _private(path: Path, body: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(body)
