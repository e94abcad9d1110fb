"""Certificates for a test's own TLS servers, made by openssl: an authority, and what it signs for whom."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")


class Authority:
    """A root of its own, in `folder`/NAME.pem."""

    def __init__(self, folder: Path, name: str = "root") -> None:
        self.folder = folder
        self.root = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        self._serial = itertools.count(1)
        _openssl("req", "-x509", *_EC, "-subj", f"/CN={name}", "-days", "30", "-keyout", self._key, "-out", self.root)

    def issue(self, common_name: str, *names: str, days: int = 30) -> Path:
        """A certificate with these alternative names (`DNS:…`, `IP:…`, `URI:…`) and its key, in one file."""
        stem = self.folder / f"{self.root.stem}-{next(self._serial)}"
        key, request, made = stem.with_suffix(".key"), stem.with_suffix(".csr"), stem.with_suffix(".crt")
        extensions = stem.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={','.join(names)}\n" if names else "basicConstraints=CA:FALSE\n")
        _openssl("req", "-new", *_EC, "-subj", f"/CN={common_name}", "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.root, "-CAkey", self._key, "-CAcreateserial",
                 "-days", str(days), "-extfile", extensions, "-out", made)  # fmt: skip
        return _joined(stem, made, key)


def self_signed(folder: Path, name: str) -> Path:
    """A certificate that nobody but itself vouches for, and its key, in one file."""
    stem = folder / "self"
    key, made = stem.with_suffix(".key"), stem.with_suffix(".crt")
    _openssl("req", "-x509", *_EC, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-days", "30",
             "-keyout", key, "-out", made)  # fmt: skip
    return _joined(stem, made, key)


def _joined(stem: Path, certificate: Path, key: Path) -> Path:
    both = stem.with_suffix(".both.pem")
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=20)
