"""Plays laws one after the other, each in a fresh tenant, and cleans up."""

from collections.abc import Callable, Sequence
from typing import Literal

import httpx2
import msgspec

from aurra.conformance.client import Client, connected
from aurra.conformance.expecting import Broken, NotAllowed, Unreachable
from aurra.conformance.law import Law
from aurra.conformance.tenant import Tenant

_SHOWN_CHARACTERS = 600


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one law; `what`, `expected` and `came` say why it did not pass."""

    name: str
    law: str
    outcome: Literal["passed", "failed", "error"]
    what: str | None = None
    expected: str | None = None
    came: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All findings, and the tenants that could not be erased."""

    url: str
    laws: list[Finding]
    tenants_left: list[str]

    def count(self, outcome: str) -> int:
        """How many laws came out so."""
        return sum(finding.outcome == outcome for finding in self.laws)


async def play(url: str, key: str, laws: Sequence[Law], tell: Callable[[Finding], None]) -> Report:
    """Plays the laws in order; `tell` hears of each as it ends.

    Raises Unreachable when nothing that speaks the contract answers, KeyRefused when the key cannot be used.
    """
    async with connected(url, key) as client:
        await _require_usable(client, url)
        findings: list[Finding] = []
        made: list[str] = []
        left: list[str] = []
        for law in laws:
            try:
                findings.append(await _find(law, Tenant(client, made)))
            finally:
                left += await _clean(client, made)
            tell(findings[-1])
    return Report(url=url, laws=findings, tenants_left=left)


async def _require_usable(client: Client, url: str) -> None:
    try:
        await Tenant(client, []).require_usable()
    except (Broken, httpx2.TransportError) as error:
        raise Unreachable(f"Nothing that speaks the contract answers at {url}: {_reason(error)}") from error


async def _find(law: Law, tenant: Tenant) -> Finding:
    try:
        await law.play(tenant)
    except Broken as broken:
        return Finding(
            name=law.name,
            law=law.sentence,
            outcome="failed",
            what=broken.what,
            expected=_short(broken.wanted),
            came=_short(broken.got),
        )
    except Unreachable:
        raise
    except NotAllowed as error:
        return _error(law, f"the key may not do what this law needs: {error}")
    except KeyError as error:
        return _error(law, f"an answer has no field {error}")
    except Exception as error:
        return _error(law, f"{type(error).__name__}: {error}")
    return Finding(name=law.name, law=law.sentence, outcome="passed")


async def _clean(client: Client, made: list[str]) -> list[str]:
    """Erases the tenants that were made, and forgets them; returns those that are left."""
    left: list[str] = []
    while made:
        name = made.pop()
        if not await _erase(client, name):
            left.append(name)
    return left


async def _erase(client: Client, tenant: str) -> bool:
    """Whether nothing of the tenant is left."""
    remaining = 1
    while remaining:
        try:
            answer = await client.send("POST", "/agent/erase", body={"tenant_id": tenant})
        except (Broken, Unreachable, httpx2.TransportError):
            return False
        if answer.status != 200:
            return False
        remaining = answer.body.get("remaining", 0) if answer.body.get("status") == "erased" else 0
    return True


def _error(law: Law, what: str) -> Finding:
    return Finding(name=law.name, law=law.sentence, outcome="error", what=what)


def _reason(error: Exception) -> str:
    return f"{error.got}" if isinstance(error, Broken) else type(error).__name__


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]} …"
