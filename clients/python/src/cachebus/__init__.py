"""Cache, event bus and locks of a CacheBus.

Names here are for threads; :mod:`cachebus.aio` has the same for asyncio.
"""

from ._sync.bus import CacheBus
from ._sync.cache import Cache
from ._sync.cached import Cached
from ._sync.consumer import Consumer
from ._sync.dead_letters import DeadLetter, DeadLetters, Redriven
from ._sync.events import EventBus
from ._sync.keyspace import Keyspace
from ._sync.locks import Fence, Lock, Locks
from ._sync.outbox import Outbox
from ._sync.relay import Relay
from ._sync.subscription import Subscription
from ._sync.worker import Handler
from .backlog import Backlog, OutboxBacklog
from .binding import Binding, Environment, Folder, Source, Url, discover
from .caching import LoadOnce, Near
from .consistency import Consistency
from .contract import Contract
from .envelope import Event
from .errors import (
    AuthenticationFailed,
    BindingError,
    CacheBusError,
    ContractError,
    DatabaseRefused,
    Denied,
    FunctionsMissing,
    GroupMissing,
    KeyInvalid,
    LockBusy,
    LockLost,
    MemoryFull,
    OutcomeUnknown,
    Refused,
    ServerError,
    Unavailable,
    Unconfirmed,
    ValueInvalid,
    ValueTooLarge,
)
from .metrics import Metrics, PrometheusMetrics
from .options import ConsumerOptions, RelayOptions
from .outcome import Emitted, Outcome
from .settings import Settings
from .warming import Entry, Warmed

__all__ = [
    "AuthenticationFailed",
    "Backlog",
    "Binding",
    "BindingError",
    "Cache",
    "CacheBus",
    "CacheBusError",
    "Cached",
    "Consistency",
    "Consumer",
    "ConsumerOptions",
    "Contract",
    "ContractError",
    "DatabaseRefused",
    "DeadLetter",
    "DeadLetters",
    "Denied",
    "Emitted",
    "Entry",
    "Environment",
    "Event",
    "EventBus",
    "Fence",
    "Folder",
    "FunctionsMissing",
    "GroupMissing",
    "Handler",
    "KeyInvalid",
    "Keyspace",
    "LoadOnce",
    "Lock",
    "LockBusy",
    "LockLost",
    "Locks",
    "MemoryFull",
    "Metrics",
    "Near",
    "Outbox",
    "OutboxBacklog",
    "Outcome",
    "OutcomeUnknown",
    "PrometheusMetrics",
    "Redriven",
    "Refused",
    "Relay",
    "RelayOptions",
    "ServerError",
    "Settings",
    "Source",
    "Subscription",
    "Unavailable",
    "Unconfirmed",
    "Url",
    "ValueInvalid",
    "ValueTooLarge",
    "Warmed",
    "discover",
]
