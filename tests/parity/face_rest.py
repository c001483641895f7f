"""REST, by plain HTTP."""

from urllib.parse import quote

import httpx2

from aurra.faces.remote import as_query
from aurra.ops import Operation
from tests.parity.face import Json, Told


class Rest:
    """As a client in any language would."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.AsyncClient(base_url=url)

    async def ask(
        self, op: Operation, fields: Json, *, api_key: str | None, idempotency_key: str | None = None
    ) -> Told:
        """By the operation's path."""
        path = op.path
        for name in op.path_parameters:
            path = path.replace(f"{{{name}}}", quote(str(fields[name]), safe=""))
        rest = {name: value for name, value in fields.items() if name not in op.path_parameters}
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        sent: Json = {"params": as_query(rest)} if op.method in ("GET", "DELETE") else {"json": rest}
        response = await self._http.request(op.method, path, headers=headers, **sent)
        return Told(status=response.status_code, body=response.json())

    async def close(self) -> None:
        """The connections are closed."""
        await self._http.aclose()
