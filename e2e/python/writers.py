"""The same writers as those in Rust, with redis-py: one through the Service, one through Sentinel.

Usage: writers.py <run> <acknowledged writes a second of each> <replicas that have to have a write>. Stops on SIGTERM, then waits to be killed.
"""

import json
import pathlib
import signal
import sys
import threading
import time

import redis
from redis.sentinel import MasterNotFoundError, Sentinel

RUN, RATE, CONFIRM = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
BINDING = pathlib.Path("/bindings/bus")
HISTORY = pathlib.Path("/history")
PAUSE = 0.005

stop = threading.Event()
lock = threading.Lock()
records = open(HISTORY / "records", "w")


def entry(name):
    return (BINDING / name).read_text()


def options():
    found = {
        "username": entry("username"),
        "password": entry("password"),
        "socket_connect_timeout": 0.5,
        "socket_timeout": 1.0,
    }
    if entry("uri").startswith("rediss://"):
        found |= {"ssl": True, "ssl_ca_certs": str(BINDING / "ca.crt"), "ssl_check_hostname": True}
    return found


def through_service():
    return redis.Redis(host=entry("host"), port=int(entry("port")), **options())


def through_sentinel():
    places = [place.strip().rsplit(":", 1) for place in entry("sentinels").split(",")]
    sentinels = [(host, int(port)) for host, port in places]
    return Sentinel(sentinels, sentinel_kwargs=options()).master_for(entry("master-name"), **options())


def now():
    return time.monotonic_ns() // 1000


def attempt(client, key, value):
    """Asks for a connection first: what fails there was never sent."""
    try:
        connection = client.connection_pool.get_connection("LPUSH")
        client.connection_pool.release(connection)
    except redis.TimeoutError:
        return {"refused": "connect-timeout"}
    except MasterNotFoundError:
        return {"refused": "no-primary"}
    except redis.ConnectionError:
        return {"refused": "not-connected"}
    except redis.RedisError as error:
        return {"refused": refusal(error)}
    try:
        return append(client, key, value)
    except redis.TimeoutError:
        return {"unknown": "timeout"}
    except redis.ReadOnlyError:
        return {"refused": "READONLY"}
    except redis.BusyLoadingError:
        return {"refused": "LOADING"}
    except redis.ConnectionError as error:
        # Through Sentinel this client hides READONLY behind a connection error.
        if "previous master is now a slave" in str(error):
            return {"refused": "READONLY"}
        return {"unknown": "dropped"}
    except redis.ResponseError as error:
        return {"refused": refusal(error)}


def append(client, key, value):
    if not CONFIRM:
        client.lpush(key, value)
        return "acknowledged"
    # One after the other on one connection: WAIT speaks of what that has written.
    pipeline = client.pipeline(transaction=False).lpush(key, value).execute_command("WAIT", CONFIRM, 500)
    written, replicas = pipeline.execute(raise_on_error=False)
    if isinstance(written, Exception):
        raise written
    confirmed = isinstance(replicas, int) and replicas >= CONFIRM
    return "acknowledged" if confirmed else {"unknown": "unconfirmed"}


def refusal(error):
    """The code, which redis-py takes off the errors that it knows."""
    first = str(error).split(" ", 1)[0]
    return first if first.isupper() else type(error).__name__


def write(name, path, connect):
    client = connect()
    key = f"events:load:{name}:history"
    sequence = 0
    while not stop.wait(1 / RATE):
        value = f"{RUN}-{name}-{sequence}"
        started = now()
        outcome = attempt(client, key, value)
        record = {
            "kind": "write",
            "writer": name,
            "sequence": sequence,
            "path": path,
            "key": key,
            "value": value,
            "started": started,
            "ended": now(),
            "outcome": outcome,
        }
        with lock:
            print(json.dumps(record), file=records)
        sequence += 1
        if outcome != "acknowledged":
            client.connection_pool.disconnect()
            time.sleep(PAUSE)
        elif name not in written:
            written.add(name)
            if len(written) == len(WRITERS):
                print(json.dumps({"writing": True}), flush=True)


WRITERS = [
    ("python_service_0", "service/python", through_service),
    ("python_sentinel_0", "sentinel/python", through_sentinel),
]
written = set()
# Threads inherit the mask: the signal is left to `sigwait`.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
threads = [threading.Thread(target=write, args=writer) for writer in WRITERS]
for thread in threads:
    thread.start()
signal.sigwait({signal.SIGTERM})
stop.set()
for thread in threads:
    thread.join()
records.close()
(HISTORY / "closed").touch()
while True:
    signal.sigwait({signal.SIGTERM})
