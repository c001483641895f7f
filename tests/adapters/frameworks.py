"""The frameworks that the SDK has adapters for, and what their environments hold."""

from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sdk" / "python" / "aurra_sdk"
EXAMPLES = ROOT / "sdk" / "python" / "examples"
CHECKS = Path(__file__).parent / "checks"
_TESTING = ("pytest==9.2.0", "pytest-asyncio==1.5.0")


class Framework(msgspec.Struct, frozen=True, kw_only=True):
    """One of them."""

    module: str
    """Of `aurra_sdk.integrations`; its checks have the same name."""
    example: str
    """Not named like the framework, which it would hide where it is run as a script."""
    extra: str
    """Of the SDK's distribution."""
    imported: str
    """The package that is it."""
    requirements: tuple[str, ...]
    """Of its environment, each an exact version."""

    @property
    def files(self) -> list[Path]:
        """What is type-checked and run in its environment alone."""
        return [
            PACKAGE / "integrations" / f"{self.module}.py",
            EXAMPLES / self.example,
            CHECKS / f"check_{self.module}.py",
        ]


FRAMEWORKS = (
    Framework(
        module="langgraph",
        example="langgraph_store.py",
        extra="langgraph",
        imported="langgraph",
        requirements=("langgraph==1.2.24", "langgraph-checkpoint==4.3.2", "hypothesis==6.168.3", *_TESTING),
    ),
    Framework(
        module="langchain",
        example="langchain_retriever.py",
        extra="langchain",
        imported="langchain_core",
        requirements=("langchain-core==1.8.3", "langchain-tests==1.1.9", *_TESTING),
    ),
    Framework(
        module="openai_agents",
        example="openai_agents_session.py",
        extra="openai-agents",
        imported="agents",
        requirements=("openai-agents==0.24.0", *_TESTING),
    ),
    Framework(
        module="pydantic_ai",
        example="pydantic_ai_toolset.py",
        extra="pydantic-ai",
        imported="pydantic_ai",
        requirements=("pydantic-ai-slim==2.68.0", *_TESTING),
    ),
)
