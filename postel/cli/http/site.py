"""Directory as an ASGI application: static files of starlette, and a list where a directory has no index."""

import asyncio
import errno
import html
import os
import stat
from collections.abc import Iterator
from heapq import nsmallest
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_LONGEST_LISTING: Final = 10_000  # largest number of entries in a list
_NOT_FOUND: Final = 404


def site(directory: Path) -> Starlette:
    """Make an application that serves the files under ``directory``.

    A symbolic link that leads out of the directory, and anything that is neither file nor directory, doesn't
    exist for clients.
    """
    return Starlette(routes=[Mount("/", app=Files(directory=directory, html=True))])


class Files(StaticFiles):
    """Static files of starlette, with lists of directories."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file, the index of a directory, or a list of what is in it."""
        try:
            return await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != _NOT_FOUND:
                raise
            found = await asyncio.to_thread(self._directory, path)
            if found is None:
                raise
        if not scope["path"].endswith("/"):
            return RedirectResponse(quote(f"/{path}/"))
        return HTMLResponse(await asyncio.to_thread(self._listing, found, "" if path == "." else path))

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Find a file as starlette does; a loop of symbolic links, or a name too long, counts as missing."""
        try:
            return super().lookup_path(path)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENAMETOOLONG):
                raise
            return "", None

    def _directory(self, path: str) -> Path | None:
        full_path, info = self.lookup_path(path)
        return Path(full_path) if info is not None and stat.S_ISDIR(info.st_mode) else None

    def _listing(self, directory: Path, path: str) -> str:
        names = nsmallest(_LONGEST_LISTING + 1, self._names(directory, path))
        title = _shown(f"/{path}")
        more = "<p>There are more.</p>" if len(names) > _LONGEST_LISTING else ""
        names = names[:_LONGEST_LISTING]
        if path:
            names.insert(0, "../")
        items = "".join(f'<li><a href="./{quote(os.fsencode(name))}">{_shown(name)}</a>' for name in names)
        return (
            "<!DOCTYPE html><meta "
            f'charset="utf-8"><title>{title}</title><h1>{title}</h1><ul>{items}</ul>{more}\n'
        )

    def _names(self, directory: Path, path: str) -> Iterator[str]:
        """Names of the files and directories that clients can ask for, directories with a slash."""
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    # Starlette's paths are texts, so `Path` is no use
                    _, info = self.lookup_path(os.path.join(path, entry.name))  # noqa: PTH118
                except OSError:  # the entry is a symbolic link into a directory that can't be read
                    continue
                if info is not None and stat.S_ISDIR(info.st_mode):
                    yield f"{entry.name}/"
                elif info is not None and stat.S_ISREG(info.st_mode):
                    yield entry.name


def _shown(name: str) -> str:
    return html.escape(os.fsencode(name).decode(errors="replace"))
