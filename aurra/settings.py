"""Every setting, once: the environment variable, its default, what it does."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from platformdirs import user_data_dir

from aurra.errors import CannotStart

_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?/?")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment, read once at the start. Raises CannotStart for a value that cannot be used."""

    aurra_home: Annotated[str, Meta(description="Directory of the embedded database.")] = ""
    aurra_host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port to listen on.")] = 8000
    aurra_workers: Annotated[int, Meta(description="Service processes of `aurra serve`.")] = 1
    database_url: Annotated[
        str, Meta(description="PostgreSQL ≥ 16 with pgvector and btree_gist, instead of the embedded one.")
    ] = ""
    aurra_pool_size: Annotated[int, Meta(description="Most database connections of one process.")] = 10
    aurra_embedder: Annotated[
        str,
        Meta(description="Of a fresh installation: `minilm`, `wordllama`, `multilingual`, `openai`, or `none`."),
    ] = "minilm"
    aurra_embedder_model: Annotated[str, Meta(description="The model of the embedder `openai`.")] = ""
    aurra_embedder_api_key: Annotated[str, Meta(description="Its key; never stored or logged.")] = ""
    aurra_embedder_base_url: Annotated[str, Meta(description="Its address, where it is not OpenAI's own.")] = ""
    aurra_embedder_dimension: Annotated[
        int, Meta(description="Numbers of a vector that it is asked for; 0 is what the model makes by itself.")
    ] = 0
    aurra_llm_provider: Annotated[
        str, Meta(description="Model provider used when a request brings none; `extractive` needs no model.")
    ] = "extractive"
    aurra_llm_model: Annotated[str, Meta(description="That provider's model.")] = ""
    aurra_llm_api_key: Annotated[str, Meta(description="That provider's key; never stored or logged.")] = ""
    aurra_llm_base_url: Annotated[str, Meta(description="That provider's base URL, where it is not the usual one.")] = (
        ""
    )
    aurra_llm_allow_base_urls: Annotated[
        bool, Meta(description="Whether requests and accounts may name a `base_url` of their own.")
    ] = True
    aurra_llm_allowed_networks: Annotated[
        str, Meta(description="Networks beside the public Internet where models of requests and accounts may be.")
    ] = ""
    aurra_llm_budget_seconds: Annotated[
        float, Meta(description="What a call to a model may take, with all its attempts.")
    ] = 30.0
    aurra_secret_keys: Annotated[
        str, Meta(description="Keys that seal the stored keys of models; the first seals, all open.")
    ] = ""
    aurra_exact_up_to: Annotated[
        int, Meta(description="Memories of a tenant up to which a search looks at every one; above, they are indexed.")
    ] = 2000
    aurra_trusted_proxies: Annotated[
        str, Meta(description="Networks of the proxies whose X-Forwarded-For, -Proto and -Host are believed.")
    ] = ""
    aurra_public_url: Annotated[
        str, Meta(description="Where clients reach this service, where requests do not tell: scheme, host, port.")
    ] = ""
    aurra_failed_authentications: Annotated[
        int, Meta(description="Requests without a good key that a /24 (IPv6: /56) may make a minute; 0 is no limit.")
    ] = 20
    aurra_log_level: Annotated[str, Meta(description="`debug`, `info`, `warning` or `error`.")] = "info"

    def __repr__(self) -> str:
        hidden = {"aurra_llm_api_key", "aurra_embedder_api_key", "aurra_secret_keys", "database_url"}
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in hidden)
        return f"Settings({', '.join(shown)})"

    @property
    def home(self) -> Path:
        """Where the embedded database lives: AURRA_HOME, else the platform's data directory."""
        return Path(self.aurra_home).expanduser() if self.aurra_home else Path(user_data_dir("aurra", appauthor=False))

    @property
    def dsn(self) -> str:
        """DATABASE_URL in the one spelling that drivers know; empty for the embedded database."""
        return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", self.database_url)


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment; an empty variable counts as not given."""
    environment = os.environ if environment is None else environment
    given = {name: environment[name.upper()] for name in Settings.__struct_fields__ if environment.get(name.upper())}
    try:
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        name = re.sub(r".*\$\.(\w+).*", r"\1", str(error)).upper()
        kinds = {"`bool`": "true or false", "`float`": "a number"}
        wanted = next((kind for type_, kind in kinds.items() if type_ in str(error)), "a whole number")
        raise CannotStart(f"{name}={environment.get(name, '')!r} cannot be used: it must be {wanted}.") from error
    if not 0 <= settings.port <= 65535:
        raise CannotStart(f"PORT={settings.port} is not a port: use 0 to 65535.")
    if not 1 <= settings.aurra_workers <= 64:
        raise CannotStart(f"AURRA_WORKERS={settings.aurra_workers} cannot be used: 1 to 64.")
    if not 0 < settings.aurra_llm_budget_seconds <= 600:
        raise CannotStart(
            f"AURRA_LLM_BUDGET_SECONDS={settings.aurra_llm_budget_seconds:g} cannot be used: more than 0, at most 600."
        )
    if not 0 <= settings.aurra_embedder_dimension <= 4000:
        raise CannotStart(
            f"AURRA_EMBEDDER_DIMENSION={settings.aurra_embedder_dimension} cannot be used: 1 to 4000, or 0 for the "
            "model's own."
        )
    if settings.aurra_failed_authentications < 0:
        raise CannotStart("AURRA_FAILED_AUTHENTICATIONS cannot be negative; 0 is no limit.")
    if settings.aurra_public_url and not _ORIGIN.fullmatch(settings.aurra_public_url):
        raise CannotStart(
            f"AURRA_PUBLIC_URL={settings.aurra_public_url!r} cannot be used: scheme, host and port alone, such as "
            "https://memory.example."
        )
    if settings.dsn and not settings.dsn.startswith("postgresql://"):
        raise CannotStart("DATABASE_URL must begin with postgresql:// or postgres://.")
    return settings
