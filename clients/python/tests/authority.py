"""Certificates of the tests' own authorities."""

from __future__ import annotations

import subprocess
from pathlib import Path

# Of an authority of which nobody has the key.
PEM = """\
-----BEGIN CERTIFICATE-----
MIIBgDCCASWgAwIBAgIUWqlajkryLonAm9KekR+gsq6AbmQwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJYXV0aG9yaXR5MCAXDTI2MTEyNzA4NDY0OFoYDzIxMjYxMTAz
MDg0NjQ4WjAUMRIwEAYDVQQDDAlhdXRob3JpdHkwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAR21HebiGiRCkKzdBA0IfaSY+ZaV+ZOyl+CrkXxXUpiriMAZkdpmUAd
+WqgjWGlw0gQX0Fnz4RATzhvMW0UMFOZo1MwUTAdBgNVHQ4EFgQUoWTj7zAW5h6Y
3Yr2Zcy/5LJwexUwHwYDVR0jBBgwFoAUoWTj7zAW5h6Y3Yr2Zcy/5LJwexUwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEA7+D8VpRqgERin5ghvHTr
W+YyUW3Q2pl4vC9m+mOFuegCIQCzp31BiRChsFRknSbbzMW+jpBKTOnjFEfYHfq9
xs5Y+Q==
-----END CERTIFICATE-----
"""
CA = (
    "basicConstraints=critical,CA:TRUE,pathlen:0",
    "keyUsage=critical,keyCertSign,cRLSign",
    "subjectKeyIdentifier=hash",
)
# As the operator's: Python 3.13 takes only what keeps to RFC 5280.
LEAF = (
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=serverAuth,clientAuth",
    "subjectAltName=IP:127.0.0.1",
    "authorityKeyIdentifier=keyid",
)


class Authority:
    """Signs certificates for 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        extensions = [word for extension in CA for word in ("-addext", extension)]
        self._request(
            "ca",
            "/CN=authority",
            "-x509",
            "-days",
            "2",
            "-config",
            self._write("config", "[req]\ndistinguished_name=name\n[name]\n"),
            *extensions,
        )
        self.pem = (folder / "ca.crt").read_text()

    def issue(self, target: Path) -> None:
        """Writes tls.crt and tls.key."""
        self._request("server", "/CN=server")
        extensions = self._write("extensions", "\n".join(LEAF))
        self._openssl(
            *("x509", "-req", "-in", "server.crt", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", "2", "-extfile", extensions, "-out", str(target / "tls.crt")),
        )
        (target / "tls.key").write_bytes((self._folder / "server.key").read_bytes())

    def _write(self, name: str, text: str) -> str:
        (self._folder / name).write_text(text)
        return str(self._folder / name)

    def _request(self, name: str, subject: str, *more: str) -> None:
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject),
            *("-keyout", f"{name}.key", "-out", f"{name}.crt", *more),
        )

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self._folder)
