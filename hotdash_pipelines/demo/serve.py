"""Listening: the stand-in as a process on a loopback address.

Belongs here: binding, the endpoint file, the server's life. Does not belong here: the application (`app`).
"""

from __future__ import annotations

import gc
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.roughness import Roughness

if TYPE_CHECKING:
    import uvicorn


class ServeError(RuntimeError):
    """The stand-in cannot listen; the text is one line for the user."""


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to a loopback address; port 0 takes a free one. Raises ServeError off loopback or if taken."""
    from hotdash_pipelines.demo.control import is_loopback

    if not is_loopback(host):
        raise ServeError(f"the stand-in store listens on loopback only, not on {host}: use 127.0.0.1")
    address = "127.0.0.1" if host == "localhost" else host
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        raise ServeError(f"the stand-in store cannot listen on {host}:{port}: {error.strerror}") from error
    return bound


def address_of(bound: socket.socket) -> str:
    """The base address of a bound socket, such as `http://127.0.0.1:8123`."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(app: Any) -> uvicorn.Server:
    """A quiet uvicorn server for the application."""
    import uvicorn

    # The world keeps a million small objects that never die; default thresholds would scan them every few requests.
    gc.set_threshold(50_000, 20, 100)
    return uvicorn.Server(
        uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2, date_header=False
        )
    )


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 7,
    scale: float = 0.1,
    clock: VirtualClock | None = None,
    endpoint_file: Path | None = None,
    roughness: Roughness | None = None,
) -> None:
    """Serve until interrupted. `endpoint_file` is written (mode 0600) once connections are accepted.

    Raises ServeError if `host` is off loopback or the port is taken.
    """
    from hotdash_pipelines.demo.app import create_app
    from hotdash_pipelines.demo.credentials import make_credentials, write_endpoint_file

    bound = bind(host, port)
    url = address_of(bound)
    credentials = make_credentials(url)
    server = make_server(create_app(seed, scale, clock or VirtualClock(), credentials, roughness))
    bound.listen(128)
    if endpoint_file is not None:
        endpoint = {"url": url, "pid": os.getpid(), "seed": seed, "scale": scale, **credentials}
        write_endpoint_file(endpoint_file, endpoint)
    try:
        server.run(sockets=[bound])
    finally:
        bound.close()
