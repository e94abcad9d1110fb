"""An image made with OpenSSL, word for word as docs/line-card-update.md tells a maker of firmware to."""

from __future__ import annotations

import subprocess

import pytest

from firmware_bridge.image import main, parse_header, parse_image, parse_public_key, verify_image

BODY = b"firmware" * 100


@pytest.mark.peer("openssl")
def test_an_image_signed_with_openssl_as_the_page_describes_is_genuine(tmp_path, capsysbinary):
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "body.bin").write_bytes(BODY)
    openssl("genpkey", "-algorithm", "ed25519", "-out", "maker.key")
    openssl("pkey", "-in", "maker.key", "-pubout", "-out", "maker.pem")
    assert main(["header", str(tmp_path / "body.bin"), "--hardware", "simulated", "--version", "1.2.3"]) == 0
    header = capsysbinary.readouterr().out
    assert parse_header(header).length == len(BODY)
    (tmp_path / "header.bin").write_bytes(header)
    openssl("pkeyutl", "-sign", "-rawin", "-inkey", "maker.key", "-in", "header.bin", "-out", "signature.bin")
    whole = header + (tmp_path / "signature.bin").read_bytes() + BODY
    (tmp_path / "card.img").write_bytes(whole)
    verify_image(parse_image(whole), [parse_public_key((tmp_path / "maker.pem").read_text())])
    assert main(["check", str(tmp_path / "card.img"), "--key", str(tmp_path / "maker.pem")]) == 0
    (tmp_path / "card.img").write_bytes(whole[:-1])
    assert main(["check", str(tmp_path / "card.img"), "--key", str(tmp_path / "maker.pem")]) == 1
