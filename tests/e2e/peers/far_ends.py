"""Other people's telephones as far ends: baresip and linphone, each with a tone to say and a recorder to hear by."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import wave
from pathlib import Path

from firmware_bridge.tonemeter import level_dbm0, tone
from tests.e2e.peers.conftest import DOMAIN, PATIENCE_S, Kamailio, Lines, end, eventually, free_port

RATE = 8000
_HEADER_BYTES = 44


def heard(recording: Path, hz: int) -> float:
    """The loudest 200 ms of a recording at one frequency, in dBm0.

    Read without its header's lengths, which are written when it is closed: only rate and samples.
    """
    data = recording.read_bytes() if recording.exists() else b""
    pcm = data[_HEADER_BYTES : _HEADER_BYTES + 60 * 2 * RATE]
    window = RATE // 5 * 2
    blocks = [pcm[at : at + window] for at in range(0, len(pcm) - window + 1, window)]
    return max((level_dbm0(block, hz, RATE) for block in blocks), default=-120.0)


class Baresip:
    """baresip, registered with the operator: hums `hz`, answers by itself, dials when told over its control port."""

    def __init__(self, folder: Path, operator: Kamailio, user: str, hz: int) -> None:
        self._folder = folder
        control, media = free_port(), free_port(40)
        modules = "/usr/lib/baresip/modules"
        (folder / "config").write_text(
            f"poll_method epoll\nsip_listen 127.0.0.1:{free_port()}\nnet_interface 127.0.0.1\n"
            f"audio_player aubridge,ear\naudio_source ausine,{hz}\naudio_alert aubridge,bell\n"
            f"ausrc_srate 48000\nauplay_srate {RATE}\nausrc_channels 2\nauplay_channels 1\n"
            f"rtp_ports {media}-{media + 38}\nmodule_path {modules}\nmodule g711.so\nmodule ausine.so\n"
            "module aubridge.so\nmodule sndfile.so\nmodule_app account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n"
            f"ctrl_tcp_listen 127.0.0.1:{control}\nsnd_path {folder}\n"
        )
        operator.know(user, "hidden")
        (folder / "accounts").write_text(
            f"<sip:{user}@{DOMAIN}>;auth_user={user};auth_pass=hidden;regint=60;answermode=auto;audio_codecs=pcma;"
            f'outbound="sip:127.0.0.1:{operator.port};transport=udp"\n'
        )
        self._process = subprocess.Popen(
            ["baresip", "-f", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", cwd=folder, start_new_session=True,
        )  # fmt: skip
        self.log = Lines(self._process.stdout)
        self._control = ("127.0.0.1", control)
        assert eventually(lambda: operator.contacts(user)), self.log.lines[-20:]

    def tell(self, command: str, params: str = "") -> None:
        """One command by its control port (JSON in a netstring)."""
        message = json.dumps({"command": command, "params": params}).encode()
        with socket.create_connection(self._control, PATIENCE_S) as connection:
            connection.sendall(b"%d:%s," % (len(message), message))
            connection.recv(4096)

    def dial(self, number: str) -> None:
        self.tell("dial", f"sip:{number}@{DOMAIN}")

    def hang_up(self) -> None:
        self.tell("hangup")

    def hears(self, hz: int) -> bool:
        """Whether it has heard a frequency well in its last call; the recording is written when the call ends."""
        return bool(eventually(lambda: any(heard(one, hz) > -25 for one in self._folder.glob("dump-*dec.wav"))))

    def close(self) -> None:
        end(self._process)
        self.log.close()


class Linphone:
    """linphonec, registered with the operator: plays a tone from a file, records what it hears, answers by itself."""

    def __init__(self, folder: Path, operator: Kamailio, user: str, hz: int) -> None:
        self._recording = folder / "heard.wav"
        with wave.open(str(folder / "hum.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(tone(hz, 30_000, -13.0))
        operator.know(user, "hidden")
        (folder / "linphonerc").write_text(
            f"[sip]\nsip_port={free_port()}\nsip_tcp_port=0\nsip_tls_port=0\nguess_hostname=0\n"
            f"contact=sip:{user}@127.0.0.1\ndefault_proxy=0\nregister_only_when_network_is_up=0\n"
            f"auto_net_state_mon=0\nuse_ipv6=0\nverify_server_certs=0\nbind_address=127.0.0.1\n"
            f"[proxy_0]\nreg_proxy=<sip:127.0.0.1:{operator.port};transport=udp>\nreg_identity=sip:{user}@{DOMAIN}\n"
            f"reg_expires=60\nreg_sendregister=1\npublish=0\n"
            f"reg_route=<sip:127.0.0.1:{operator.port};transport=udp;lr>\n"
            f"[auth_info_0]\nusername={user}\nuserid={user}\npasswd=hidden\nrealm={DOMAIN}\n"
            f"[rtp]\naudio_rtp_port={free_port(4)}\n[sound]\nechocancellation=0\n[net]\nmtu=0\n"
            "[misc]\nstore_friends=0\n[storage]\nuri=null\n"
        )
        self._process = subprocess.Popen(
            ["linphonec", "-a", "-c", str(folder / "linphonerc")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", cwd=folder, start_new_session=True, bufsize=1,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "TERM": "dumb"},
        )  # fmt: skip
        self.log = Lines(self._process.stdout)
        self.tell("soundcard use files")
        self.tell(f"play {folder / 'hum.wav'}")
        self.tell(f"record {self._recording}")
        assert eventually(lambda: operator.contacts(user)), self.log.lines[-20:]

    def tell(self, command: str) -> None:
        """One command, as a person would type it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def dial(self, number: str) -> None:
        self.tell(f"call sip:{number}@{DOMAIN}")

    def hang_up(self) -> None:
        self.tell("terminate")

    def hears(self, hz: int) -> bool:
        """Whether it has heard a frequency well in its last call."""
        return bool(eventually(lambda: heard(self._recording, hz) > -25))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.tell("quit")
        end(self._process)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self.log.close()
