"""What a process does not need it does not load: on a box of 512 MB for years."""

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

OF_THE_AGENT = ["asyncio", "aiohttp", "aiosqlite", "sqlite3", "structlog", "marisa_trie", "dns", "ssl"]
OF_THE_GATEWAY = ["firmware_bridge", "serial", "pjsua2"]
OF_NO_DAEMON = ["typer", "pydantic", "pydantic_core", "rich"]


def started(*command: object, before: str = "") -> tuple[set[str], str]:
    """The modules that a daemon's command has loaded when it refuses a folder, and the sentence with which it does."""
    code = f"{before}\nimport agent.cli, sys\ntry: agent.cli.main()\nfinally: print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, command)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 2, ran.stderr
    return set(ran.stdout.split()), ran.stderr


def of(packages: list[str], modules: set[str]) -> list[str]:
    return sorted(name for name in modules if name.split(".")[0] in packages)


def test_the_gateways_command_loads_no_more_than_the_gateway(tmp_path: Path):
    folder = tmp_path / "file"
    folder.touch()
    modules, sentence = started(
        "gateway", "--card", "/dev/null", "--state", folder, "--socket", tmp_path / "s", "--bind", "127.0.0.1"
    )
    assert str(folder) in sentence
    assert "agent.gateway.daemon.main" in modules
    assert of([*OF_NO_DAEMON, *OF_THE_AGENT], modules) == []


COUNTED = """
import atexit, os, ssl
roots, read = [], ssl.SSLContext.set_default_verify_paths
def counted(context):
    read(context)
    roots.append(context.cert_store_stats()["x509_ca"])
ssl.SSLContext.set_default_verify_paths = counted
atexit.register(lambda: print(f"roots={sum(roots)}", f"file={os.environ.get('SSL_CERT_FILE')}"))
"""


def test_the_agents_command_loads_no_more_than_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", ssl.get_default_verify_paths().openssl_cafile)
    folder, secret, config = tmp_path / "file", tmp_path / "secret", tmp_path / "agent.toml"
    folder.touch()
    secret.write_text("hush\n")
    secret.chmod(0o600)
    config.write_text(
        f'[operator]\nurl = "https://127.0.0.1"\ndevice_id = "a"\ncredential_file = "{secret}"\n'
        f'[store]\nfolder = "{folder}"\n'
    )
    modules, sentence = started("agent", "--config", config, before=COUNTED)
    assert str(folder) in sentence
    assert "agent.app" in modules
    assert of([*OF_NO_DAEMON, *OF_THE_GATEWAY], modules) == []
    assert {"roots=0", f"file={os.environ['SSL_CERT_FILE']}"} <= modules
