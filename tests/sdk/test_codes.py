"""An error's code as a type and as a class, both from the service's table."""

import pickle
from typing import get_args

import pytest
from aurra_sdk import AurraError, LLMProviderError, NotFoundError, ServerError, codes
from aurra_sdk.codes import ErrorCode, MemoryErasedError

from aurra.errors import CODES
from tests.sdk.conftest import Either, MakeClient
from tests.sdk.scripted_server import ScriptedServer, problem


def test_the_codes_are_those_of_the_service() -> None:
    """All of them, in its order; each has a class, which is of the status, and is told apart from all others."""
    assert get_args(ErrorCode) == tuple(CODES)
    assert list(codes.BY_CODE) == list(CODES)
    assert len(set(codes.BY_CODE.values())) == len(CODES)
    for code, (status, hint) in CODES.items():
        kind = codes.BY_CODE[code]
        of_status = codes.BY_STATUS.get(status, ServerError if status >= 500 else AurraError)
        assert issubclass(kind, LLMProviderError if code.startswith("llm_provider_") else of_status), code
        if kind.__module__ == "aurra_sdk.codes":
            assert kind.__name__ in codes.__all__
            assert " ".join((kind.__doc__ or "").split()) == f"{status} `{code}`: {hint}"


@pytest.mark.parametrize("code", list(CODES))
async def test_a_code_is_raised_as_its_class(make_scripted: MakeClient, server: ScriptedServer, code: str) -> None:
    """Whatever the status class was caught as before, it still is; the error can be pickled."""
    status, hint = CODES[code]
    server.script(problem(status, code))
    with pytest.raises(codes.BY_CODE[code]) as caught:
        await make_scripted(max_retries=0)("plan.status")
    assert (caught.value.code, caught.value.status_code) == (code, status)
    assert hint and pickle.loads(pickle.dumps(type(caught.value))) is type(caught.value)


async def test_a_code_that_is_not_known_or_of_another_status_is_the_class_of_the_status(
    scripted: Either, server: ScriptedServer
) -> None:
    """A newer service, or somebody between who makes answers up."""
    for status, code in [(404, "of_a_newer_service"), (404, "plan_limit_exceeded")]:
        server.script(problem(status, code))
        with pytest.raises(NotFoundError) as caught:
            await scripted("plan.status")
        assert type(caught.value) is NotFoundError and caught.value.code == code


async def test_a_caller_branches_on_what_the_service_says(either: Either) -> None:
    """An erased memory is MemoryErasedError, and a NotFoundError still; one that never was is only that."""
    written = await either("memories.add", content="Kim lives in Oslo")
    await either("memories.erase", written.memory_id)
    with pytest.raises(MemoryErasedError):
        await either("memories.get", written.memory_id)
    with pytest.raises(NotFoundError) as caught:
        await either("memories.get", "00000000-0000-0000-0000-000000000000")
    assert not isinstance(caught.value, MemoryErasedError)
