"""How the command line and `aurra mcp` come to the operations: at a service's address, or in this very process."""

from uuid import UUID, uuid4

import msgspec

from aurra import keys
from aurra.context import Caller, Service, caller_of
from aurra.errors import AurraError
from aurra.faces import asking, problems
from aurra.faces.remote import Remote, remote
from aurra.faces.ways import SECONDS, Endpoint, Json, Reach, Refused, Reply, Unreachable
from aurra.keys import SCOPES, Terms
from aurra.ops import OPERATIONS
from aurra.store import accounts, api_keys
from aurra.store.pool import Transaction

__all__ = ["SECONDS", "Embedded", "Endpoint", "Json", "Reach", "Refused", "Remote", "Reply", "Unreachable", "remote"]

LOCAL = "this machine"
"""The name of the key that stands for whoever has the machine; its secret is known to nobody."""
_PAGE = 1000


class Embedded:
    """A service in this process; who asks has the machine, and so may do everything in the account.

    What is asked is done by a key of the account like any other, so that it has settings, makes keys and stands in the
    ledger. It is made by the first request.
    """

    def __init__(self, service: Service, company_id: UUID) -> None:
        self._service = service
        self._company_id = company_id
        self._caller: Caller | None = None
        self.has_written = False
        """Whether anything was asked that may have left a job."""

    async def ask(self, op: Endpoint, arguments: Json, idempotency_key: str | None = None) -> Json:
        """Runs the operation, decoded as a request's body is."""
        return (await self.reply(op, arguments, idempotency_key)).answer

    async def reply(
        self, op: Endpoint, arguments: Json, idempotency_key: str | None = None, *, as_page: bool = False
    ) -> Reply:
        """Runs the operation; see `Reach`."""
        request_id = uuid4().hex
        operation = OPERATIONS[op.name]
        self.has_written = self.has_written or not operation.is_read_only
        try:
            asked = await asking.ask(
                self._service,
                await self._local_caller(),
                operation,
                msgspec.json.encode(arguments),
                request_id=request_id,
                idempotency_key=idempotency_key,
            )
        except Exception as raised:
            error: AurraError = problems.told(raised, request_id, op.method)
            raise Refused(error.status, msgspec.json.decode(problems.body(error, request_id))) from raised
        return Reply(
            answer=msgspec.json.decode(msgspec.json.encode(asked.answer)),
            page=operation.markdown(asked.answer) if as_page and operation.markdown else None,
            plan_warning=asked.plan_warning,
            replayed=asked.replayed,
        )

    async def _local_caller(self) -> Caller:
        """Who asks: the account's key of that name, made where there is none that may do everything."""
        if self._caller is None:
            async with self._service.database.begin(self._company_id) as tx:
                key_id = await _find(tx)
                if key_id is None:
                    terms = Terms(name=LOCAL, scopes=list(SCOPES))
                    key_id = (await accounts.add_key(tx, terms, created_by="operator")).key_id
            async with self._service.database.look_up(key_id) as tx:
                rows = await accounts.find_key(tx, key_id)
            row = next(row for row in rows if row.company_id == self._company_id)
            self._caller = caller_of(row, row.secret_hash)
        return self._caller


async def _find(tx: Transaction) -> str | None:
    """The id of the account's key of this machine, if one is there that may do everything."""
    after = None
    while rows := await api_keys.list_page(tx, tenant_id=None, after=after, limit=_PAGE):
        for row in rows:
            is_ours = row.name == LOCAL and row.created_by == "operator" and row.revoked_at is None
            if is_ours and keys.excess(row.terms, Terms(scopes=list(SCOPES))) is None:
                return row.key_id
        after = rows[-1].created_at, rows[-1].key_id
    return None
