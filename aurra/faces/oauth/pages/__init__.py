"""The pages that people see: they load nothing, run nothing, are kept nowhere and stand in no frame."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response

_HERE = Path(__file__).parent
_STYLE = (_HERE / "page.css").read_text("utf-8")
_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def page(name: str, status: int, headers: dict[str, str], **values: Any) -> Response[bytes]:
    """A page of the templates beside this file."""
    text = _TEMPLATES.get_template(f"{name}.html").render(style=_STYLE, **values)
    return Response(text.encode(), status_code=status, media_type="text/html", headers={**_HEADERS, **headers})
