"""What holds of the adapters where no framework is installed."""

import subprocess
import sys
import tomllib

import pytest
from aurra_sdk.integrations import _names, _packing
from hypothesis import example, given
from hypothesis import strategies as st

from aurra import texts
from tests.adapters.environments import SDK, lock_of
from tests.adapters.frameworks import EXAMPLES, FRAMEWORKS, Framework

each = pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.module)


@each
def test_what_is_missing_is_said_in_one_sentence(framework: Framework) -> None:
    """With what to install, by the name of the extra."""
    program = f"""
import sys
try:
    import aurra_sdk.integrations.{framework.module}
except ImportError as error:
    assert {framework.imported!r} not in sys.modules
    print(error, end="")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith(f' is not installed: pip install "aurra-sdk[{framework.extra}]".')
    assert done.stdout.count("\n") == 0


def test_each_framework_is_an_extra() -> None:
    """Of the SDK's distribution, and nothing else is."""
    extras = tomllib.loads((SDK / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(extras) == {framework.extra for framework in FRAMEWORKS}
    assert [path.name for path in sorted(EXAMPLES.glob("*.py"))] == sorted(one.example for one in FRAMEWORKS)


@each
def test_an_example_is_short(framework: Framework) -> None:
    """Ten lines."""
    assert len((EXAMPLES / framework.example).read_text("utf-8").splitlines()) <= 10


@each
def test_a_lock_holds_hashes_and_names_no_host(framework: Framework) -> None:
    """And the versions that the environment is made for."""
    text = lock_of(framework.module).read_text("utf-8")
    assert "://" not in text
    assert "index-url" not in text
    assert text.count("--hash=sha256:") >= text.count("==")
    assert all(f"{requirement} \\" in text for requirement in framework.requirements)


letters = st.characters(exclude_categories=()) | st.sampled_from("aAßÉé.:%_ -\u0301\u1112\u1161\u11ab한\uf900豈ﬁİı")
names = st.text(letters, max_size=8)


@given(names)
@example("\u1112\u1161\u11ab")
@example("\uf900")
def test_a_name_comes_back_and_is_the_same_as_no_other(name: str) -> None:
    """The service compares what it is encoded to as it is: nothing of it is folded."""
    attribute = _names.attribute_of(name)
    assert _names.key_of(attribute) == name
    assert texts.comparable(attribute) == attribute


@given(names, st.lists(names.filter(bool), min_size=1, max_size=3).map(tuple))
def test_a_namespace_comes_back(source: str, namespace: tuple[str, ...]) -> None:
    """Of its source, and of no other."""
    subject = _names.subject_of(source, namespace)
    assert texts.comparable(subject) == subject
    assert _names.namespace_of(source, subject) == namespace
    assert _names.namespace_of(source + "x", subject) is None


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))


@given(values)
def test_a_packed_value_comes_back_and_can_be_stored(value: object) -> None:
    """Whatever JSON it is."""
    packed = _packing.packed(value)
    texts.require_storable(packed)
    assert repr(_packing.unpacked(packed)) == repr(value)
