"""What is said where a framework is not installed."""


def missing(error: ModuleNotFoundError, framework: str, extra: str) -> ImportError:
    """One sentence that names what to install; if it is another module that is missing, the error as it was."""
    if (error.name or "").partition(".")[0] not in _PACKAGES[extra]:
        return error
    return ImportError(f'{framework} is not installed: pip install "aurra-sdk[{extra}]".', name=error.name)


_PACKAGES = {
    "langgraph": ("langgraph", "langchain_core"),
    "langchain": ("langchain_core",),
    "openai-agents": ("agents",),
    "pydantic-ai": ("pydantic_ai",),
}
