"""What answers and nested inputs are made of."""

from collections.abc import Iterator
from typing import Any, ClassVar, Generic, TypeVar, overload

import msgspec

T = TypeVar("T")


class _Shown(msgspec.Struct, kw_only=True):
    """Its `repr` shows what is there, and no secrets."""

    _secrets: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        given = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not msgspec.UNSET}
        shown = (f"{name}={'***' if value and name in self._secrets else repr(value)}" for name, value in given.items())
        return f"{type(self).__name__}({', '.join(shown)})"


class Record(_Shown, kw_only=True):
    """Part of an answer. Fields are attributes; `record["field"]`, `.get("field")` and `in` work as on a dict.

    Its `repr` shows no secrets.
    """

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, self.__struct_fields__[self.__struct_encode_fields__.index(name)])
        except ValueError:
            raise KeyError(name) from None

    def __contains__(self, name: object) -> bool:
        return name in self.__struct_encode_fields__

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__struct_encode_fields__)

    def get(self, name: str, default: Any = None) -> Any:
        """The field's value, or `default` where there is no such field."""
        return self[name] if name in self.__struct_encode_fields__ else default

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts and lists, ready for `json.dumps`."""
        return msgspec.to_builtins(self)

    @property
    def raw(self) -> dict[str, Any]:
        """What `to_dict()` returns, by the published client's name."""
        return self.to_dict()


class Page(Record, Generic[T], kw_only=True):
    """One page of a list; iterating, `len()` and `page[0]` speak of the items on it, not of the pages after it."""

    def page_items(self) -> list[T]:
        """The items on this page."""
        raise NotImplementedError

    @overload
    def __getitem__(self, name: str) -> Any: ...
    @overload
    def __getitem__(self, name: int) -> T: ...
    @overload
    def __getitem__(self, name: slice) -> list[T]: ...
    def __getitem__(self, name: str | int | slice) -> Any:
        return super().__getitem__(name) if isinstance(name, str) else self.page_items()[name]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) if isinstance(name, str) else name in self.page_items()

    def __iter__(self) -> Iterator[T]:
        return iter(self.page_items())

    def __len__(self) -> int:
        return len(self.page_items())


class Input(_Shown, kw_only=True):
    """Part of a request. What is not given is not sent; its `repr` shows no secrets."""
