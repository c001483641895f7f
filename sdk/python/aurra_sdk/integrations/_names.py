"""Namespaces and keys as subjects and attributes, and back. Pure.

The service compares names in NFC, without regard to case and to runs of white space; a store does not. So every
character that would be folded is percent-encoded: two names are the same for the service only if they are the same.
"""

import string
import unicodedata
from collections.abc import Sequence
from urllib.parse import unquote

LONGEST_NAME = 700
"""Bytes of a subject or an attribute."""
_SAFE = frozenset(string.ascii_lowercase + string.digits + "-_")
_EMPTY = "%"


def subject_of(source: str, namespace: Sequence[str]) -> str:
    """`source:label.label`; without labels, what all subjects of the source begin with."""
    return _fitting(f"{_encoded(source)}:{'.'.join(map(_encoded, namespace))}", "namespace")


def namespace_of(source: str, subject: str | None) -> tuple[str, ...] | None:
    """The namespace of a subject; None where it is not of this source."""
    head = f"{_encoded(source)}:"
    if subject is None or not subject.startswith(head) or subject == head:
        return None
    return tuple(map(_decoded, subject.removeprefix(head).split(".")))


def attribute_of(key: str) -> str:
    """The key as an attribute."""
    return _fitting(_encoded(key), "key")


def key_of(attribute: str) -> str:
    """The key of an attribute."""
    return _decoded(attribute)


def _fitting(name: str, what: str) -> str:
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"The {what} is too long: encoded, it has more than {LONGEST_NAME} bytes.")
    return name


def _encoded(text: str) -> str:
    """Readable where that is safe: lower-case letters of any script stay, if the whole stays what it is in NFC."""
    lenient = "".join(character if _is_stable(character) else _percent(character) for character in text)
    if unicodedata.normalize("NFC", lenient).casefold() != lenient:
        lenient = "".join(character if character in _SAFE else _percent(character) for character in text)
    return lenient or _EMPTY


def _decoded(text: str) -> str:
    return "" if text == _EMPTY else unquote(text, errors="surrogatepass")


def _is_stable(character: str) -> bool:
    return character in _SAFE or (character > "\x7f" and character.isalpha() and character.casefold() == character)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
