"""GraphQL types of the wire's Structs: the same names, fields and descriptions, each made once."""

import inspect
from collections.abc import Callable
from typing import Any, cast

import msgspec
from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
)
from msgspec import UNSET
from msgspec import inspect as shapes

from aurra.faces.graphql.scalars import BIG_INT, DATETIME, INT_OR_STRING, JSON

Resolver = Callable[[Any, Any], Any]
# The library's types of types are generic over what they wrap, and cannot be told here.
Output = Any
Input = Any
_WORDS = (shapes.IntType, shapes.StrType)


def by(resolver: Resolver) -> Any:
    """A resolver as the library takes it."""
    return resolver


def fields_of(struct: type[msgspec.Struct]) -> tuple[shapes.Field, ...]:
    """The fields of a Struct."""
    shape = shapes.type_info(struct)
    assert isinstance(shape, shapes.StructType)
    return shape.fields


def described(type_: shapes.Type) -> str | None:
    """What a field's annotation says of it."""
    match type_:
        case shapes.Metadata():
            told = cast("dict[str, Any]", type_.extra_json_schema or {})
            return told.get("description") or described(type_.type)
        case shapes.UnionType():
            return next(filter(None, map(described, type_.types)), None)
        case _:
            return None


class Types:
    """The types made so far."""

    def __init__(self) -> None:
        self._objects: dict[type, GraphQLObjectType] = {}
        self._inputs: dict[type, GraphQLInputObjectType] = {}
        self._enums: dict[str, GraphQLEnumType] = {}

    def object_of(self, struct: type[msgspec.Struct]) -> GraphQLObjectType:
        """What is read of a Struct."""
        if struct not in self._objects:
            self._objects[struct] = GraphQLObjectType(
                struct.__name__, lambda: self.outputs_of(struct), description=_documented(struct)
            )
        return self._objects[struct]

    def outputs_of(
        self, struct: type[msgspec.Struct], read: Callable[[str], Resolver] | None = None
    ) -> dict[str, GraphQLField]:
        """The fields of a Struct; `read` makes what reads one of them, by its name, from other than the Struct."""
        return {
            field.encode_name: GraphQLField(
                self._output(field.type, struct, field.name, nullable=_may_be_unset(field)),
                resolve=read(field.name) if read else _reading(field),
                description=described(field.type),
            )
            for field in fields_of(struct)
        }

    def _output(
        self, type_: shapes.Type, struct: type, name: str, *, is_instant: bool = False, nullable: bool = False
    ) -> Output:
        if isinstance(type_, shapes.Metadata):
            is_instant = is_instant or _is_instant(type_)
            return self._output(type_.type, struct, name, is_instant=is_instant, nullable=nullable)
        if isinstance(type_, shapes.UnionType):
            members = _without_null(type_)
            nullable = nullable or len(members) < len(type_.types)
            if len(members) == 1:
                return self._output(members[0], struct, name, is_instant=is_instant, nullable=nullable)
            found: Output = _of_several(members)
        else:
            found = self._plain_output(type_, struct, name, is_instant=is_instant)
        return found if nullable else GraphQLNonNull(found)

    def _plain_output(self, type_: shapes.Type, struct: type, name: str, *, is_instant: bool) -> Output:
        match type_:
            case shapes.StructType():
                return self.object_of(type_.cls)
            case shapes.ListType():
                return _list(self._output(type_.item_type, struct, name))
            case shapes.LiteralType():
                return self._enum(type_, struct, name)
            case _:
                return _scalar(type_, is_instant=is_instant)

    def _enum(self, type_: shapes.LiteralType, struct: type, name: str) -> GraphQLEnumType:
        """Named for the Struct that declares the field, and for the field."""
        declaring = next(one for one in struct.__mro__ if name in inspect.get_annotations(one))
        named = declaring.__name__ + "".join(part.capitalize() for part in name.split("_"))
        if named not in self._enums:
            self._enums[named] = GraphQLEnumType(named, {str(value): value for value in type_.values})
        return self._enums[named]

    def enum_of(self, struct: type[msgspec.Struct], name: str) -> GraphQLEnumType:
        """The enum of a field that has one of a few words."""
        field = next(field for field in fields_of(struct) if field.encode_name == name)
        type_ = field.type
        while isinstance(type_, shapes.Metadata):
            type_ = type_.type
        assert isinstance(type_, shapes.LiteralType)
        return self._enum(type_, struct, name)

    def arguments_of(self, struct: type[msgspec.Struct]) -> dict[str, GraphQLArgument]:
        """The fields of a request, as arguments."""
        return {
            field.encode_name: GraphQLArgument(self._given(field), description=described(field.type))
            for field in fields_of(struct)
        }

    def _input_of(self, struct: type[msgspec.Struct]) -> GraphQLInputObjectType:
        if struct not in self._inputs:
            self._inputs[struct] = GraphQLInputObjectType(
                f"{struct.__name__}Input",
                lambda: {
                    field.encode_name: GraphQLInputField(self._given(field), description=described(field.type))
                    for field in fields_of(struct)
                },
                description=_documented(struct),
            )
        return self._inputs[struct]

    def _given(self, field: shapes.Field) -> Input:
        """What may be left out may be null: the operation decodes it as a request's body is decoded."""
        given = self._input(field.type)
        return GraphQLNonNull(given) if field.required and not _takes_null(field.type) else given

    def _input(self, type_: shapes.Type, *, is_instant: bool = False) -> Input:
        match type_:
            case shapes.Metadata():
                return self._input(type_.type, is_instant=is_instant or _is_instant(type_))
            case shapes.UnionType():
                members = _without_null(type_)
                if len(members) == 1:
                    return self._input(members[0], is_instant=is_instant)
                return _of_several(members)
            case shapes.StructType():
                return self._input_of(type_.cls)
            case shapes.ListType():
                item = self._input(type_.item_type)
                return _list(item if _takes_null(type_.item_type) else GraphQLNonNull(item))
            case _:
                return _scalar(type_, is_instant=is_instant)


def _list(of: Any) -> Any:
    return GraphQLList(of)


def _scalar(type_: shapes.Type, *, is_instant: bool) -> Any:
    match type_:
        case shapes.StrType():
            return DATETIME if is_instant else GraphQLString
        case shapes.BoolType():
            return GraphQLBoolean
        case shapes.IntType():
            return BIG_INT
        case shapes.FloatType():
            return GraphQLFloat
        case _:
            return JSON


def _of_several(members: list[shapes.Type]) -> Any:
    plain = [member.type if isinstance(member, shapes.Metadata) else member for member in members]
    return INT_OR_STRING if all(isinstance(member, _WORDS) for member in plain) else JSON


def _without_null(type_: shapes.UnionType) -> list[shapes.Type]:
    return [member for member in type_.types if not isinstance(member, shapes.NoneType)]


def _takes_null(type_: shapes.Type) -> bool:
    if isinstance(type_, shapes.Metadata):
        return _takes_null(type_.type)
    return isinstance(type_, shapes.UnionType) and len(_without_null(type_)) < len(type_.types)


def _is_instant(type_: shapes.Metadata) -> bool:
    return cast("dict[str, Any]", type_.extra_json_schema or {}).get("format") == "date-time"


def _may_be_unset(field: shapes.Field) -> bool:
    """Whether an answer may lack it: it has neither to be given, nor a default."""
    return not field.required and field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT


def _reading(field: shapes.Field) -> Resolver:
    name = field.name
    if _may_be_unset(field):
        return lambda source, _info: None if (value := getattr(source, name)) is UNSET else value
    return lambda source, _info: getattr(source, name)


def _documented(struct: type) -> str | None:
    return struct.__dict__.get("__doc__")
