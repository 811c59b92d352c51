"""ASGI application under uvicorn, on an event loop with sockets of Postel."""

import asyncio
import signal
import ssl
import sys
from argparse import Namespace
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.config import LOGGING_CONFIG
from uvicorn.importer import ImportFromStringError, import_from_string

from postel.cli.http.site import site
from postel.errors import ArgumentError

_CERTIFICATE: Final = "a certificate in PEM, with its key there or in --ssl-keyfile"


class Server(uvicorn.Server):
    """Server of uvicorn that reports when it has begun to listen and when it must end at once.

    ``began`` is called once the server listens. The event ``urgent`` is set by a second signal, and by a
    signal that comes while ``is_urgent`` returns True.
    """

    def __init__(
        self, config: uvicorn.Config, began: Callable[[], None], is_urgent: Callable[[], bool]
    ) -> None:
        """Make the server inside the running event loop, and handle SIGTERM from now on."""
        super().__init__(config)
        self.urgent: asyncio.Event = asyncio.Event()
        self._began = began
        self._is_urgent = is_urgent
        self._has_heard = False
        self._loop = asyncio.get_running_loop()
        signal.signal(signal.SIGTERM, self._early)

    async def startup(self, sockets: Any = None) -> None:  # noqa: ANN401 - as in uvicorn
        """Begin to listen, and call ``began``."""
        await super().startup(sockets)
        self._began()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal to end; the second one is urgent."""
        if self.should_exit or self._is_urgent():
            self._loop.call_soon_threadsafe(self.urgent.set)
        super().handle_exit(sig, frame)

    def _early(self, number: int, frame: FrameType | None) -> None:
        """Handle a SIGTERM that comes before uvicorn handles signals, or after it has ended.

        The first one may also be the signal that uvicorn raises again at its end. Any later one is urgent.
        """
        if self._has_heard:
            self._loop.call_soon_threadsafe(self.urgent.set)
        self._has_heard = self.should_exit = True


def application(text: str) -> Any:  # noqa: ANN401 - an ASGI application has no type of its own
    """Make the site of a directory, or import the application ``module:name``.

    Raises ArgumentError where ``text`` is neither.
    """
    if Path(text).is_dir():
        return site(Path(text))
    if ":" not in text:
        raise ArgumentError("APP", text, "a directory that exists, or an ASGI application such as module:app")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does
    try:
        return import_from_string(text)
    except ImportFromStringError as error:
        raise ArgumentError("APP", text, f"an ASGI application that can be imported ({error})") from error


def configured(app: Any, options: Namespace) -> uvicorn.Config:  # noqa: ANN401 - as `application`
    """Make the configuration of uvicorn from the options, and load its certificate.

    Raises ArgumentError where the certificate can't be loaded.
    """
    config = uvicorn.Config(
        app,
        host=None,  # type: ignore[arg-type]  # all addresses of the host
        port=options.port,
        log_config=_logging(options.access_log),
        access_log=not options.quiet or bool(options.access_log),
        backlog=options.backlog,
        limit_concurrency=options.limit_concurrency,
        timeout_keep_alive=options.timeout_keep_alive,
        timeout_graceful_shutdown=options.timeout_graceful_shutdown,
        ssl_certfile=options.ssl_certfile,
        ssl_keyfile=options.ssl_keyfile,
        ssl_keyfile_password=options.ssl_keyfile_password,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ArgumentError(
            "--ssl-certfile", options.ssl_certfile, f"{_CERTIFICATE} ({error.strerror or error})"
        ) from error
    return config


def _logging(file: str | None) -> dict[str, Any]:
    """Configuration of uvicorn's log, without its messages about its start and end.

    With ``file``, requests are logged into it; a file that was moved away is opened anew.
    """
    config = deepcopy(LOGGING_CONFIG)
    config["loggers"]["uvicorn.error"] = {"level": "WARNING"}
    if file:
        try:
            # A name is opened as the user wrote it, because uvicorn's handler opens it so.
            with open(file, "a"):  # noqa: PTH123
                pass
        except OSError as error:
            raise ArgumentError(
                "--access-log", file, f"a file that can be written ({error.strerror})"
            ) from error
        config["handlers"]["access"] = {
            "class": "logging.handlers.WatchedFileHandler",
            "filename": file,
            "formatter": "access",
        }
        config["formatters"]["access"]["fmt"] = (
            '%(client_addr)s - - [%(asctime)s] "%(request_line)s" %(status_code)s'
        )
        config["formatters"]["access"]["use_colors"] = False
    return config
