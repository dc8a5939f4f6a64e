"""What a server says by RESP3."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from redis import exceptions

from cachebus.conversation import Conversation, Push, Replies

SAID = (
    b"+OK\r\n:-7\r\n$5\r\na\r\nbc\r\n$-1\r\n_\r\n#t\r\n,1.5\r\n(12345678901234567890\r\n=7\r\ntxt:abc\r\n"
    b"*2\r\n:1\r\n*0\r\n*-1\r\n~1\r\n+x\r\n%1\r\n+k\r\n:1\r\n|1\r\n+ttl\r\n:9\r\n+with\r\n"
    b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n"
)
MEANT: list[Any] = [b"OK", -7, b"a\r\nbc", None, None, True, 1.5, 12345678901234567890, b"abc"]
MEANT += [[1, []], None, [b"x"], [b"k", 1], b"with", [b"invalidate", [b"k"]]]


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_replies_of_every_form(piece: int) -> None:
    replies = Replies()
    heard = [reply for at in range(0, len(SAID), piece) for reply in replies.feed(SAID[at : at + piece])]
    assert heard == MEANT
    assert isinstance(heard[-1], Push)


def test_errors_are_replies() -> None:
    first, second = Replies().feed(b"-NOPERM no\r\n!5\r\nERR x\r\n")
    assert isinstance(first, exceptions.ResponseError)
    assert (str(first), str(second)) == ("NOPERM no", "ERR x")


@pytest.mark.parametrize("said", [b"hello\r\n", b":x\r\n", b"*x\r\n"])
def test_what_is_no_resp3(said: bytes) -> None:
    with pytest.raises(exceptions.InvalidResponse):
        list(Replies().feed(said))


def test_answers_go_to_who_asked_and_changes_are_heard_before() -> None:
    said: list[object] = []
    conversation = Conversation(said.append)
    one: Future[list[Any]] = Future()
    two: Future[list[Any]] = Future()
    one.add_done_callback(lambda future: said.append(future.result()))
    conversation.expect(2, one)
    conversation.expect(1, two)
    conversation.feed(b"$1\r\nv\r\n>2\r\n+invalidate\r\n_\r\n:1")
    assert not one.done()
    conversation.feed(b"000\r\n>3\r\n+subscribe\r\n+c\r\n:1\r\n")
    assert said == [[b"invalidate", None], [b"v", 1000]]
    assert two.result(0) == [[b"subscribe", b"c", 1]]


def test_who_waits_hears_of_the_end() -> None:
    conversation = Conversation(lambda push: None)
    given_up: Future[list[Any]] = Future()
    waits: Future[list[Any]] = Future()
    given_up.cancel()
    for future in (given_up, waits):
        conversation.expect(1, future)
    conversation.feed(b"+for nobody\r\n")
    conversation.end()
    with pytest.raises(exceptions.ConnectionError):
        waits.result(0)
    with pytest.raises(exceptions.InvalidResponse):
        conversation.feed(b"+OK\r\n")
