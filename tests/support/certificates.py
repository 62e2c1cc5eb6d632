"""A certificate authority of the tests' own, and a server certificate for localhost, by the openssl command.

made = make_certificates(folder)          # made.authority, made.certificate, made.key: PEM files
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.needs import program


@dataclass(frozen=True)
class Certificates:
    authority: Path  # what a client trusts: ca_file
    certificate: Path  # of the server
    key: Path  # of the server, readable by everybody: it protects nothing


def make_certificates(folder: Path, names: str = "DNS:localhost,IP:127.0.0.1") -> Certificates:
    """Valid for ten days from now."""
    folder.mkdir(parents=True, exist_ok=True)
    authority, authority_key = folder / "ca.pem", folder / "ca.key"
    certificate, key, request = folder / "server.pem", folder / "server.key", folder / "server.csr"
    extensions = folder / "server.ext"
    extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    _openssl(
        "req", "-x509", *curve, "-keyout", authority_key, "-out", authority, "-days", "10",
        "-subj", "/CN=Tests' own authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    _openssl("req", *curve, "-keyout", key, "-out", request, "-subj", "/CN=localhost")
    _openssl(
        "x509", "-req", "-in", request, "-CA", authority, "-CAkey", authority_key, "-CAcreateserial",
        "-out", certificate, "-days", "10", "-extfile", extensions,
    )  # fmt: skip
    for path in (authority, certificate, key):
        path.chmod(0o644)
    return Certificates(authority=authority, certificate=certificate, key=key)


def _openssl(*arguments: object) -> None:
    command = [program("openssl"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise RuntimeError(done.stderr)
