"""Whom a client trusts."""

from __future__ import annotations

import ssl


class Trust:
    """By what connections check servers' certificates. They share it: making it takes longer than a handshake."""

    def __init__(self) -> None:
        self._made: tuple[str | None, ssl.SSLContext] | None = None

    def context(self, ca_pem: str | None) -> ssl.SSLContext:
        """Trusts this authority alone, or those that the system trusts. Made anew where it is another than the last."""
        made = self._made
        if made is None or made[0] != ca_pem:
            made = self._made = (ca_pem, ssl.create_default_context(cadata=ca_pem))
        return made[1]
