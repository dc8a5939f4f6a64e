"""A way to a server on which replies get lost."""

from __future__ import annotations

import contextlib
import socket
import threading

from engines import free_port


class Proxy:
    """Passes bytes on. May cut a connection instead of passing a reply on, after the server has done its work."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        # Requests that hold these bytes lose their reply; so many of them.
        self._cuts: tuple[bytes, int] = (b"", 0)
        # Requests that hold those bytes, since `cut`.
        self.passed = 0
        self._threads = [self._start(self._accept)]

    def cut(self, request: bytes, times: int = 1) -> None:
        self._cuts = (request, times)
        self.passed = 0

    def close(self) -> None:
        for each in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _start(self, call: object, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=call, args=arguments, daemon=True)  # type: ignore[arg-type]
        thread.start()
        return thread

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                self._threads.append(self._start(self._forth, client, server))
                self._threads.append(self._start(self._back, server, client))

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self._is_to_be_cut(data):
                    # The way back goes first, so that the reply finds none.
                    client.shutdown(socket.SHUT_RDWR)
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _is_to_be_cut(self, data: bytes) -> bool:
        with self._lock:
            wanted, times = self._cuts
            if not wanted or wanted not in data:
                return False
            self.passed += 1
            self._cuts = (wanted, max(times - 1, 0))
            return times > 0

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
