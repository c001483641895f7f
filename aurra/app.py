"""The composition root: settings → database → providers → operations → the ASGI application."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable
from typing import Any
from uuid import UUID

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from aurra import __version__, jobs, networks, rates
from aurra.context import Clock, Service, database_clock
from aurra.errors import AurraError, BadRequest, CannotStart, NotFound, Unavailable
from aurra.faces import documents, limits, receiving, rest
from aurra.faces.graphql import serving as graphql
from aurra.faces.graphql.documents import Documents
from aurra.faces.graphql.schema import schema as graphql_schema
from aurra.faces.graphql.sockets import Sockets
from aurra.faces.mcp import door
from aurra.faces.oauth import routes as oauth
from aurra.faces.readiness import Readiness
from aurra.ops import OPERATIONS, last_uses
from aurra.ops.following import follow, open_first
from aurra.ops.limiting import give_back
from aurra.ops.models import default_model
from aurra.providers import outgoing
from aurra.providers.base import LanguageModel, ModelChoice
from aurra.providers.llm import open_model
from aurra.settings import Settings
from aurra.store import accounts, migrate, pool
from aurra.store.secret_keys import SecretKeys

AnyRequest = Request[Any, Any, Any]


@contextlib.asynccontextmanager
async def open_service(settings: Settings, dsn: str, clock: Clock = database_clock) -> AsyncGenerator[Service]:
    """A service on a migrated database. Raises CannotStart when it would not be safe to serve."""
    secret_keys = SecretKeys(settings)
    opener = _opener(settings)
    proxies = networks.read_setting(settings.aurra_trusted_proxies, "AURRA_TRUSTED_PROXIES")
    await migrate.require_safe(dsn)
    database = await pool.open_database(dsn, size=settings.aurra_pool_size)
    try:
        await _require_model(settings)
        async with database.read(UUID(int=0)) as tx:
            secret = await accounts.service_secret(tx, "cursor")
        embedder = await open_first(settings, database)
        service = Service(
            settings=settings,
            database=database,
            embedder=embedder,
            vectors_of=embedder.name if embedder else "",
            open_model=opener,
            cursor_secret=secret,
            secret_keys=secret_keys,
            trusted_proxies=proxies,
            clock=clock,
        )
        try:
            yield service
            # Whoever asked may be gone; what was begun is finished.
            await asyncio.gather(*service.tasks)
        finally:
            if service.embedder is not None:
                await service.embedder.close()
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def working(service: Service) -> AsyncGenerator[None]:
    """While open, this process does the jobs that fall due, follows a switch of the embedder within seconds, writes
    down which keys are used, and gives back requests that it holds and does not use. A job that is under way at the end
    is left to its lease."""
    endless = (jobs.work(service), follow(service), last_uses.keep(service), give_back(service))
    tasks = [asyncio.create_task(work) for work in endless]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await last_uses.write(service)


def _opener(settings: Settings) -> Callable[[ModelChoice], LanguageModel]:
    """Opens models within the settings' budget; those that are not the operator's, where they may be alone."""
    networks = outgoing.networks(settings.aurra_llm_allowed_networks, "AURRA_LLM_ALLOWED_NETWORKS")

    def open_(choice: ModelChoice) -> LanguageModel:
        return open_model(
            choice,
            budget_seconds=settings.aurra_llm_budget_seconds,
            reach=None if choice.is_operators else networks,
        )

    return open_


async def _require_model(settings: Settings) -> None:
    """Returns when the default model can be opened. Raises CannotStart: its settings are the operator's to mend."""
    if (choice := default_model(settings)) is None:
        return
    try:
        model = await asyncio.to_thread(open_model, choice)
    except BadRequest as error:
        raise CannotStart(f"AURRA_LLM_PROVIDER, _MODEL, _API_KEY and _BASE_URL do not fit together: {error}") from error
    await model.close()


def build_app(service: Service) -> Litestar:
    """The ASGI application over a running service."""
    readiness = Readiness(service)
    parsed = Documents(graphql_schema())

    @get(["/health", "/health/live"], include_in_schema=False)
    async def live(request: AnyRequest) -> Response[bytes]:
        return await receiving.respond(request, lambda id_: _json({"status": "ok", "version": __version__}, id_))

    @get("/health/ready", include_in_schema=False)
    async def ready(request: AnyRequest) -> Response[bytes]:
        return await receiving.respond(request, lambda id_: _ready(readiness, id_))

    return Litestar(
        [
            live,
            ready,
            door.handler(service),
            *oauth.handlers(service),
            *documents.handlers(service),
            *rest.handlers(service, list(OPERATIONS.values())),
            *graphql.handlers(service, parsed),
            Sockets(service, parsed).handler(graphql.PATHS),
        ],
        openapi_config=None,
        logging_config=None,
        cors_config=CORSConfig(
            allow_origins=["*"],
            expose_headers=["X-Request-Id", "Retry-After", "WWW-Authenticate", "X-Plan-Warning", *rates.HEADERS],
        ),
        before_send=[limits.teller(service)],
        exception_handlers={Exception: _refused},
        request_max_body_size=None,
    )


async def _json(value: object, request_id: str) -> Response[bytes]:
    return Response(msgspec.json.encode(value), media_type="application/json", headers={"X-Request-Id": request_id})


async def _ready(readiness: Readiness, request_id: str) -> Response[bytes]:
    found = await readiness.look()
    if not found.is_ready:
        wrong = "; ".join(f"{part}: {said}" for part, said in found.parts.items() if said != "ok")
        raise Unavailable(f"Not ready. {wrong}.", extra={"parts": found.parts})
    return await _json({"status": "ready", "version": __version__, "parts": found.parts}, request_id)


def _refused(request: AnyRequest, error: Exception) -> Response[bytes]:
    """What the framework itself refuses: a path that is not there, a method it does not have, a broken request."""
    return receiving.problem(_as_ours(request, error), receiving.request_id_of(request))


def _as_ours(request: AnyRequest, error: Exception) -> AurraError:
    path = request.url.path
    if isinstance(error, NotFoundException):
        return NotFound(f"There is nothing at {path}.", code="no_such_path")
    if isinstance(error, MethodNotAllowedException):
        return NotFound(f"{path} has no {request.method}.", code="method_not_allowed")
    if isinstance(error, HTTPException) and error.status_code < 500:
        return BadRequest(f"The request cannot be read: {re.sub(r'[^ -~]', '?', error.detail)}")
    return AurraError("Something failed inside; nothing is known to be stored.")
