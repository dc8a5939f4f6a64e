"""What a server's error means to the caller."""

from __future__ import annotations

from redis import exceptions

from . import errors

_REFUSALS = (
    "NOREPLICAS",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "LOADING",
    "READONLY",
    "MISCONF",
    # From a wait that the server has ended: it is no primary any more, or the stream was deleted.
    "UNBLOCKED",
)


def translate(command: str, error: Exception) -> errors.CacheBusError:
    """The typed error for one that a server has answered ``command`` with."""
    text = str(error)
    code = text.split(" ", 1)[0]
    if isinstance(error, exceptions.NoPermissionError) or code in ("CBDENIED", "NOPERM"):
        return errors.Denied(f"{command}: the service's rights do not allow it")
    if isinstance(error, exceptions.AuthenticationError) or code in ("WRONGPASS", "NOAUTH"):
        return errors.AuthenticationFailed(f"{command}: the server does not take the credentials")
    if is_refusal(error):
        return errors.Refused(f"{command}: the server takes no such call at the moment")
    if isinstance(error, exceptions.OutOfMemoryError) or code == "OOM":
        return errors.MemoryFull(f"{command}: the server's memory is full")
    if code == "NOGROUP":
        return errors.GroupMissing(f"{command}: the consumer group is gone")
    if "Function not found" in text:
        return errors.FunctionsMissing(f"{command}: the function library is not loaded")
    return errors.ServerError(command, code if code.isupper() else "ERR")


def is_refusal(error: Exception) -> bool:
    """Whether the server did nothing, and another, or the same a moment later, may."""
    refused = (
        exceptions.ReadOnlyError,
        exceptions.BusyLoadingError,
        exceptions.MasterDownError,
        exceptions.TryAgainError,
    )
    return isinstance(error, refused) or str(error).startswith(_REFUSALS)
