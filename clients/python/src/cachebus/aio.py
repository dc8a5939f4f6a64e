"""The client for asyncio."""

from ._async.bus import CacheBus
from ._async.cache import Cache
from ._async.cached import Cached
from ._async.consumer import Consumer
from ._async.dead_letters import DeadLetter, DeadLetters, Redriven
from ._async.events import EventBus
from ._async.keyspace import Keyspace
from ._async.locks import Fence, Lock, Locks
from ._async.outbox import Outbox
from ._async.relay import Relay
from ._async.subscription import Subscription
from ._async.worker import Handler

__all__ = [
    "Cache",
    "CacheBus",
    "Cached",
    "Consumer",
    "DeadLetter",
    "DeadLetters",
    "EventBus",
    "Fence",
    "Handler",
    "Keyspace",
    "Lock",
    "Locks",
    "Outbox",
    "Redriven",
    "Relay",
    "Subscription",
]
