"""How to reach the bus: a binding Secret as a folder, as environment variables, or a URL."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from .contract import Contract
from .errors import BindingError

Address = tuple[str, int]
PROVIDER = "cachebus"
PREFIX = "CACHEBUS_"
ENTRIES = [
    "host",
    "port",
    "username",
    "password",
    "uri",
    "tls",
    "ca.crt",
    "sentinels",
    "sentinel-port",
    "master-name",
    "contract.json",
]


@dataclass(frozen=True)
class Binding:
    """Everything that a service needs to connect."""

    address: Address
    username: str | None
    password: str | None = field(repr=False)
    tls: bool
    # Certificate of the bus's authority, PEM; ``None``: those that the system trusts.
    ca_pem: str | None = field(repr=False)
    sentinels: tuple[Address, ...]
    master_name: str | None
    contract: Contract

    @classmethod
    def of(cls, entries: Mapping[str, str]) -> Binding:
        """The binding that a Secret's entries make. A ``uri`` fills in what others leave out."""
        values = {**_of_uri(entries.get("uri")), **entries}
        try:
            return cls(
                address=(values["host"], int(values.get("port", "6379"))),
                username=values.get("username"),
                password=values.get("password"),
                tls=values.get("tls", "false") == "true",
                ca_pem=_authority(values.get("ca.crt")),
                sentinels=_addresses(values.get("sentinels", ""), values.get("sentinel-port")),
                master_name=values.get("master-name"),
                contract=Contract.parse(values["contract.json"]),
            )
        except KeyError as missing:
            raise BindingError(f"the binding has no {missing.args[0]}") from None
        except ValueError:
            raise BindingError("the binding has a port that is no number") from None


class Source(Protocol):
    """Where a binding comes from."""

    def load(self) -> Binding:
        """Reads it; ``BindingError`` where that fails."""

    def fingerprint(self) -> object:
        """Changes when the binding does. Cheap."""


class Folder:
    """A mounted Secret, one file for each entry."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def load(self) -> Binding:
        entries = {}
        for name in ENTRIES:
            try:
                entries[name] = (self.path / name).read_text().strip("\n")
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError):
                raise BindingError(f"{self.path / name} cannot be read") from None
        if not entries:
            raise BindingError(f"{self.path} holds no binding")
        return Binding.of(entries)

    def fingerprint(self) -> object:
        states: list[tuple[int, int, int] | None] = []
        for name in ENTRIES:
            try:
                state = (self.path / name).stat()
            except OSError:
                states.append(None)
            else:
                states.append((state.st_ino, state.st_mtime_ns, state.st_size))
        return tuple(states)


class Environment:
    """Variables named after the entries: ``CACHEBUS_HOST``, ``CACHEBUS_CA_CRT``, ``CACHEBUS_CONTRACT_JSON``, …"""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def load(self) -> Binding:
        return Binding.of(
            {name: self._environ[variable] for name in ENTRIES if (variable := _variable(name)) in self._environ}
        )

    def fingerprint(self) -> object:
        return None


class Url:
    """``redis://user:password@host:port`` (``rediss`` with TLS) and the text of a contract."""

    def __init__(self, url: str, contract: str | bytes, *, ca_pem: str | None = None) -> None:
        self._entries = {"uri": url}
        if ca_pem is not None:
            self._entries["ca.crt"] = ca_pem
        self._entries["contract.json"] = contract if isinstance(contract, str) else contract.decode()

    def load(self) -> Binding:
        return Binding.of(self._entries)

    def fingerprint(self) -> object:
        return None


def discover(environ: Mapping[str, str] | None = None) -> Source:
    """The binding of this process: the folder ``$CACHEBUS_BINDING``, else the one of provider ``cachebus`` below
    ``$SERVICE_BINDING_ROOT``, else variables."""
    environ = os.environ if environ is None else environ
    if folder := environ.get("CACHEBUS_BINDING"):
        return Folder(folder)
    if root := environ.get("SERVICE_BINDING_ROOT"):
        found = [path.parent for path in Path(root).glob("*/provider") if _is_ours(path)]
        if len(found) > 1:
            raise BindingError(f"{root} holds more than one cachebus binding: set CACHEBUS_BINDING")
        if found:
            return Folder(found[0])
    if _variable("host") in environ or _variable("uri") in environ:
        return Environment(environ)
    raise BindingError("no binding: set CACHEBUS_BINDING, SERVICE_BINDING_ROOT or CACHEBUS_HOST")


def _is_ours(provider: Path) -> bool:
    try:
        return provider.read_text().strip() == PROVIDER
    except (OSError, UnicodeDecodeError):
        return False


def _variable(entry: str) -> str:
    return PREFIX + entry.upper().replace(".", "_").replace("-", "_")


def _of_uri(uri: str | None) -> dict[str, str]:
    if uri is None:
        return {}
    try:
        parts = urlsplit(uri)
        port = parts.port or 6379
    except ValueError:
        raise BindingError("the uri cannot be read") from None
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise BindingError("the uri is not redis:// or rediss:// and a host")
    values = {
        "host": parts.hostname,
        "port": str(port),
        "tls": "true" if parts.scheme == "rediss" else "false",
    }
    if parts.username:
        values["username"] = unquote(parts.username)
    if parts.password:
        values["password"] = unquote(parts.password)
    return values


def _authority(pem: str | None) -> str | None:
    """What is no certificate is found out here, where the binding that was read before can be kept."""
    if pem is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise BindingError("the binding's ca.crt holds no certificate") from None
    return pem


def _addresses(text: str, default_port: str | None) -> tuple[Address, ...]:
    addresses = []
    for entry in filter(None, text.split(",")):
        host, _, port = entry.strip().rpartition(":")
        if not host:
            host, port = port, default_port or "26379"
        addresses.append((host, int(port)))
    return tuple(addresses)
