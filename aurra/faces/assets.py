"""Files that browsers load, from the package itself: a closed set, each at an address that names its version.

`/assets/FOLDER/VERSION/FILE` is a file of `aurra/faces/assets/FOLDER`; the version is a hash of all that the folder
holds, so files may name their neighbours, and what is at an address never changes.
"""

import asyncio
import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from aurra.errors import NotFound
from aurra.faces import receiving

AnyRequest = Request[Any, Any, Any]
FILES = Path(__file__).parent / "assets"
TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".woff2": "font/woff2",
}
"""What is served, by suffix; licences and notes beside it are not. The framework says of text that it is UTF-8."""
_PACKED = frozenset({".css", ".js", ".svg", ".ttf"})
_FOR_EVER = "public, max-age=31536000, immutable"


class Asset(msgspec.Struct, frozen=True):
    """One file, as it is sent."""

    suffix: str
    content: bytes
    etag: str


def address(name: str) -> str:
    """Where a file is served, `docs/start.js` by its name. Raises KeyError for one that is not there."""
    return f"/assets/{_versions()[name]}"


@cache
def all_assets() -> dict[str, Asset]:
    """Every file that is served, by `FOLDER/VERSION/FILE`."""
    return {at: _read(FILES / name) for name, at in _versions().items()}


def handlers() -> list[HTTPRouteHandler]:
    """The route of all assets."""

    async def asset(request: AnyRequest) -> Response[bytes]:
        return await receiving.respond(request, lambda id_: _answer(request, id_))

    return [
        HTTPRouteHandler("/assets/{name:path}", http_method=["GET", "HEAD"], name="asset", include_in_schema=False)(
            asset
        )
    ]


async def _answer(request: AnyRequest, request_id: str) -> Response[bytes]:
    name = str(request.path_params["name"]).lstrip("/")
    # A look-up in what was read from the package: no path of a caller's ever reaches the file system.
    found = all_assets().get(name)
    if found is None:
        raise NotFound(f"There is nothing at {request.url.path}.", code="no_such_path")
    headers = {
        "X-Request-Id": request_id,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": _FOR_EVER,
        "ETag": found.etag,
        "Vary": "Accept-Encoding",
    }
    if found.etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers)
    content = found.content
    if found.suffix in _PACKED and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content = await asyncio.to_thread(_packed, name)
    return Response(content, media_type=TYPES[found.suffix], headers=headers)


@cache
def _packed(name: str) -> bytes:
    return gzip.compress(all_assets()[name].content, mtime=0)


@cache
def _versions() -> dict[str, str]:
    """`FOLDER/VERSION/FILE` of every `FOLDER/FILE`."""
    found: dict[str, str] = {}
    for folder in sorted(path for path in FILES.iterdir() if path.is_dir()):
        # What lies deeper is what the files were made from.
        inside = [(path.name, path) for path in sorted(folder.iterdir()) if path.suffix in TYPES]
        version = hashlib.sha256(b"".join(name.encode() + _digest(path) for name, path in inside)).hexdigest()[:12]
        found |= {f"{folder.name}/{name}": f"{folder.name}/{version}/{name}" for name, _ in inside}
    return found


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(path.suffix, content, f'W/"{hashlib.sha256(content).hexdigest()[:24]}"')


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
