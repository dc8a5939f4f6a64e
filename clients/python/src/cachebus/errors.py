"""What can go wrong, by what the caller can do about it.

No message holds a password, a key's value or what a server said beyond its error code.
"""

from __future__ import annotations


class CacheBusError(Exception):
    """Base of all errors. ``retryable``: the same call may work a moment later."""

    retryable = False


class BindingError(CacheBusError):
    """The binding cannot be read, or is not one."""


class ContractError(CacheBusError):
    """The contract does not have, or does not grant, what was asked for."""


class KeyInvalid(ContractError):
    """A key's parts do not fit its template."""


class ValueInvalid(CacheBusError):
    """A value cannot be encoded, or stored bytes are no value."""


class ValueTooLarge(ValueInvalid):
    """An encoded value is above the size limit."""


class Unavailable(CacheBusError):
    """No server could be reached in time; nothing was sent."""

    retryable = True


class Refused(Unavailable):
    """The server refused and did nothing: it loads, is no primary, or lacks replicas."""


class OutcomeUnknown(CacheBusError):
    """The call was sent and no answer came: nobody knows whether it was done.

    The client has repeated it already where that is safe. ``retryable`` says whether the caller may.
    """

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class Unconfirmed(CacheBusError):
    """The primary has the event, but fewer copies than the contract asks for have said that they do.

    Emitting again with the same ``event_id`` is safe and waits for the copies again.
    """

    retryable = True

    def __init__(self, event_id: str, confirmed: int, wanted: int) -> None:
        super().__init__(f"{event_id}: {confirmed} of {wanted} replicas confirmed")
        self.event_id = event_id
        self.confirmed = confirmed
        self.wanted = wanted


class AuthenticationFailed(CacheBusError):
    """The server does not take the binding's user and password."""

    retryable = True


class Denied(CacheBusError):
    """The service's rights do not allow this."""


class MemoryFull(CacheBusError):
    """The server has no memory left for writes; nothing was done."""

    retryable = True


class FunctionsMissing(CacheBusError):
    """The server has no function library, and what was asked for needs it."""

    retryable = True


class GroupMissing(CacheBusError):
    """A stream has lost its consumer group, or was lost together with it."""

    retryable = True


class ServerError(CacheBusError):
    """Any other error of the server. ``code`` is its first word."""

    def __init__(self, command: str, code: str) -> None:
        super().__init__(f"{command}: {code}")
        self.code = code


class DatabaseRefused(CacheBusError):
    """The database of an outbox refuses what waiting does not mend, for example because there is no such table.

    ``code`` is the state that it names; its own error is the cause.
    """

    def __init__(self, code: str | None) -> None:
        super().__init__(f"the database of the outbox refuses: {code}")
        self.code = code


class LockBusy(CacheBusError):
    """Another holds the lock, for as long as was waited."""

    retryable = True


class LockLost(CacheBusError):
    """The lock is not held any more; another may hold it."""
