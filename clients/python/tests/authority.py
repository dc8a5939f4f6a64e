"""Certificates of the tests' own authorities."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """Signs certificates for 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._request("ca", "/CN=authority", "-x509", "-days", "2")
        self.pem = (folder / "ca.crt").read_text()

    def issue(self, target: Path) -> None:
        """Writes tls.crt and tls.key."""
        self._request("server", "/CN=server")
        names = self._folder / "names"
        names.write_text("subjectAltName=IP:127.0.0.1\n")
        self._openssl(
            *("x509", "-req", "-in", "server.crt", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", "2", "-extfile", str(names), "-out", str(target / "tls.crt")),
        )
        (target / "tls.key").write_bytes((self._folder / "server.key").read_bytes())

    def _request(self, name: str, subject: str, *more: str) -> None:
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject),
            *("-keyout", f"{name}.key", "-out", f"{name}.crt", *more),
        )

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self._folder)
