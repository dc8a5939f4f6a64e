from __future__ import annotations

import ssl

import authority
from cachebus.trust import Trust


def test_the_bindings_authority_is_trusted_alone() -> None:
    context = Trust().context(authority.PEM)
    [trusted] = context.get_ca_certs()
    assert trusted["subject"] == ((("commonName", "authority"),),)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_connections_share_what_is_made_of_it() -> None:
    trust = Trust()
    made = trust.context(authority.PEM)
    assert trust.context(authority.PEM) is made
    assert trust.context(None) is not made
