"""From a model's text to an object: what is repaired, what is refused, and that nothing is made up."""

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from aurra.providers.llm.structured import REPAIRABLE, Unusable, fitted, is_strict, read, spelled_out

ANY: dict[str, Any] = {"type": "object"}

scalars = some.none() | some.booleans() | some.integers(-(2**53), 2**53) | some.text(max_size=12)
values = some.recursive(
    scalars | some.sampled_from(['}"{', "```", "</think>", ",]", '\\"', "{"]),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
objects = some.dictionaries(some.text(max_size=6), values, max_size=4)
prose = some.text(some.characters(exclude_characters='{}"', exclude_categories=["Cs"]), max_size=20)


def text_of(value: object) -> str:
    return msgspec.json.encode(value).decode()


@given(objects)
def test_json_is_read_as_it_is(value: dict[str, Any]) -> None:
    """Without repairs, and without changes."""
    assert read(text_of(value), ANY) == (value, False)


@given(prose, objects, prose)
def test_what_stands_around_the_object_is_left_out(before: str, value: dict[str, Any], after: str) -> None:
    """Prose and fences, before and after; the object itself is not touched."""
    text = f"{before}\n```json\n{text_of(value)}\n```\n{after}"
    if "</think>" not in text:
        assert read(text, ANY) == (value, True)


@given(objects, some.data())
def test_what_was_cut_off_is_never_completed(value: dict[str, Any], data: some.DataObject) -> None:
    """No prefix of an object is an object, not even the whole objects inside it."""
    text = text_of(value)
    cut = data.draw(some.integers(0, len(text) - 1))
    if "</think>" not in text:
        with pytest.raises(Unusable):
            read(text[:cut], ANY)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2,], }', {"a": [1, 2]}),
        ('{"a": ",]", "b": {"c": ",}",},}', {"a": ",]", "b": {"c": ",}"}}),
        ('\ufeff {"a": 1}', {"a": 1}),
        ('<think>perhaps {"a": 1} or {"a": 2}</think> {"a": 3}', {"a": 3}),
        ('The form {like this} is: {"a": 1}', {"a": 1}),
    ],
)
def test_repairs(text: str, value: dict[str, Any]) -> None:
    assert read(text, ANY) == (value, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"{}"',
        "{'a': 1}",
        '{"a": 1 "b": 2}',
        '{"a": NaN}',
        '{"a": 1',
        '{"a": {"b": 1}',
        '{"a": "b}',
        "}{",
        "{,,}",
        '{"a": 1}{"a": 2}',
        '{"a": 1}' * 100,
        '{"a": "\\ud800"}',
        "[" * 5000 + "]" * 5000,
    ],
)
def test_what_is_not_repaired(text: str) -> None:
    with pytest.raises(Unusable):
        read(text, ANY)


@pytest.mark.parametrize(
    "unit",
    ["{", "}", '"', '\\"', '{"', '{"\\', ",", "{,", "{}", '{"a":', "[", "{ ", ', "', "</think>"],
)
def test_hostile_text_is_refused_quickly(unit: str) -> None:
    """As long as a text may be; the event loop waits meanwhile. This process's own time: others run beside it."""
    for begin in ("", "{", '{"'):
        text = (begin + unit * REPAIRABLE)[:REPAIRABLE]
        begun = time.process_time()
        with pytest.raises(Unusable):
            read(text, NODE)
        assert time.process_time() - begun < 0.5


NODE: dict[str, Any] = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "kind": {"enum": ["leaf", "branch"]},
                "size": {"type": ["integer", "null"]},
                "weight": {"type": "number"},
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                "marks": {"type": "object", "additionalProperties": {"type": "boolean"}},
            },
            "required": ["kind"],
            "additionalProperties": False,
        }
    },
}


@pytest.mark.parametrize(
    ("value", "fit"),
    [
        ({"kind": "leaf"}, {"kind": "leaf"}),
        ({"kind": "leaf", "size": 3.0, "weight": 3.0}, {"kind": "leaf", "size": 3, "weight": 3.0}),
        ({"kind": "leaf", "size": None, "x": 1}, {"kind": "leaf", "size": None}),
        (
            {"kind": "branch", "next": {"kind": "leaf", "next": None, "y": 2}},
            {"kind": "branch", "next": {"kind": "leaf", "next": None}},
        ),
        ({"kind": "leaf", "marks": {"a": True}}, {"kind": "leaf", "marks": {"a": True}}),
    ],
)
def test_what_fits(value: dict[str, Any], fit: dict[str, Any]) -> None:
    """Forbidden keys go, whole floats become integers, nothing else changes."""
    result = fitted(value, NODE)
    assert result == fit
    assert text_of(result) == text_of(fit)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["kind"], "is no object"),
        ({}, "the answer lacks `kind`"),
        ({"kind": "4711"}, r"the answer\.kind is none of the values allowed"),
        ({"kind": "leaf", "size": True}, r"the answer\.size is not of type integer or null"),
        ({"kind": "leaf", "size": 1.5}, r"the answer\.size is not of type integer or null"),
        ({"kind": "leaf", "weight": "4711"}, r"the answer\.weight is not of type number"),
        ({"kind": "leaf", "next": {"kind": 4711}}, r"the answer\.next is none of the alternatives"),
        ({"kind": "leaf", "marks": {"4711": 0}}, r"the answer\.marks\.\* is not of type boolean"),
    ],
)
def test_what_does_not_fit(value: object, message: str) -> None:
    """The message names the place by the schema's own words; keys and values of the answer are not in it."""
    with pytest.raises(Unusable, match=message) as raised:
        fitted(value, NODE)
    assert "4711" not in str(raised.value)


def test_a_value_nested_too_deep_is_refused() -> None:
    value: dict[str, Any] = {"kind": "leaf"}
    for _ in range(2000):
        value = {"kind": "branch", "next": value}
    with pytest.raises(Unusable, match="too deep"):
        fitted(value, NODE)


def test_strict_schemas_are_told_from_others() -> None:
    """Strict: every object lists all its properties as required and allows no others."""
    inner: dict[str, Any] = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    outer: dict[str, Any] = {**inner, "properties": {"a": {"type": "array", "items": inner}}}
    assert is_strict(outer)
    assert not is_strict(NODE)
    for key in ("required", "additionalProperties"):
        loose = {name: value for name, value in inner.items() if name != key}
        assert not is_strict({**outer, "properties": {"a": {"type": "array", "items": loose}}})


def test_the_schema_in_words_ends_the_system_prompt() -> None:
    """On the last line, so that whoever reads it can find it."""
    assert msgspec.json.decode(spelled_out("Do.", NODE).splitlines()[-1]) == NODE
