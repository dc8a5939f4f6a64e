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
        # A request that holds these bytes loses its reply; so many times.
        self._cuts: tuple[bytes, int] = (b"", 0)
        # Requests that were passed on and hold those bytes.
        self.passed = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, request: bytes, times: int = 1) -> None:
        self._cuts = (request, times)
        self.passed = 0

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._target))
        threading.Thread(target=self._back, args=(server, client), daemon=True).start()
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self._hits(data):
                    # The way back goes first, so that the reply finds none.
                    client.shutdown(socket.SHUT_WR)
                    server.sendall(data)
                    return
                server.sendall(data)
        server.close()

    def _hits(self, data: bytes) -> bool:
        with self._lock:
            wanted, times = self._cuts
            if not wanted or wanted not in data:
                return False
            self.passed += 1
            if not times:
                return False
            self._cuts = (wanted, times - 1)
            return True

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
