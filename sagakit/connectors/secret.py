"""Secrets by reference: their names stand in a definition, their values nowhere.

A value is looked up when a connector calls, in the environment and else in the keyring, and known
to nobody but that call: whatever the call gives back, a result, an error, a line of the HTTP
client's log, has it taken out.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import msgspec

from sagakit.errors import Problem, SecretError
from sagakit.redaction import SHORTEST, Redaction

_TELLING = 10  # characters of a piece of an address that may be secret by itself
KEYRING = "sagakit"  # the service under which the keyring has them


class Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A secret by its name: ``Secret("PAYMENT_TOKEN", prefix="Bearer ")``.

    Parameters:
        secret: the name of an environment variable; if there is none, of an entry in the
            keyring's service ``sagakit``.
        prefix: text that stands before the value.
    """

    secret: Annotated[
        str,
        msgspec.Meta(
            title="Secret",
            description="The name of an environment variable, or of an entry in the keyring's "
            "service 'sagakit'; never the value",
        ),
    ]
    prefix: Annotated[
        str, msgspec.Meta(title="Before it", description="Text before the value: 'Bearer '")
    ] = ""

    def problems(self) -> list[Problem]:
        """What is wrong with the reference, with the cure."""
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", self.secret):
            return []
        text = "a secret is given by its name (letters, digits and _), never by its value; "
        return [Problem(f"{text}put the value into the environment", "secret")]


def is_reference(value: Any) -> bool:
    """Whether a piece of a body or of arguments refers to a secret: ``{secret: NAME}``."""
    return (
        isinstance(value, dict)
        and "secret" in value
        and set(value) <= {"secret", "prefix"}
        and all(isinstance(part, str) for part in value.values())
    )


class Vault:
    """The secrets that one call has looked up, and takes out of whatever it gives back.

    Parameters:
        place: the step that calls, for the errors.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._redaction = Redaction(())

    def value(self, secret: Secret) -> str:
        """The secret's value.

        Raises:
            SecretError: it is not there, or too short to be kept out of what people read.
        """
        found = os.environ.get(secret.secret) or _from_keyring(secret.secret)
        name = f"{self.place}: the secret '{secret.secret}'"
        if not found:
            raise SecretError(
                f"{name} is neither in the environment nor in the keyring's service "
                f"'{KEYRING}'; set the environment variable {secret.secret}"
            )
        if len(found) < SHORTEST:
            raise SecretError(
                f"{name} has fewer than {SHORTEST} characters, which cannot be kept out of what "
                "people read; give a longer one"
            )
        from sagakit.connectors import client_logs

        for part in (found, *_parts_of_url(found)):
            for spelling in _spellings(part):
                self._redaction.learn(spelling, whole=True)
                client_logs.hide(spelling)
        return secret.prefix + found

    def holds(self, text: str) -> bool:
        """Whether a secret stands in the text."""
        return self.scrub(text) != text

    def scrub(self, text: str) -> str:
        """The text without any secret."""
        return self._redaction.scrub(text)

    def clean(self, value: Any) -> Any:
        """Plain data without any secret, also in its keys; anything else as it is."""
        return _without(value, self._redaction.scrub)


def _spellings(value: str) -> Iterator[str]:
    """How a secret may come back: as it is, in a URL, a page, a header of basic authentication;
    and in JSON within JSON."""
    import base64
    import html
    import json

    ways = {
        value: None,
        html.escape(value): None,
        value.replace("/", "\\/"): None,
        urllib.parse.quote(value): None,
        urllib.parse.quote(value, safe=""): None,
        urllib.parse.quote_plus(value): None,
        base64.b64encode(value.encode()).decode(): None,
    }
    for way in ways:
        for _ in range(4):
            yield way
            yield repr(way)[1:-1]
            way = json.dumps(way)[1:-1]


def _parts_of_url(value: str) -> Iterator[str]:
    """Of a secret that is an address, such as a webhook's or a database's, what is secret in it: a
    service may say back its path, a driver its password."""
    if "://" not in value:
        return
    parts = urllib.parse.urlsplit(value)
    whole = [parts.path, f"{parts.path}?{parts.query}", parts.query, parts.password or ""]
    pieces = [*parts.path.split("/"), *(two for _, two in urllib.parse.parse_qsl(parts.query))]
    for text in [*whole, *(piece for piece in pieces if len(piece) >= _TELLING)]:
        for spelling in {text, urllib.parse.unquote(text)}:
            if len(spelling) >= SHORTEST:
                yield spelling


def _without(value: Any, scrub: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {_without(key, scrub): _without(part, scrub) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without(part, scrub) for part in value]
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return value
    text = str(value)
    shown = scrub(text)
    return value if shown == text else shown


def _from_keyring(name: str) -> str | None:
    """The keyring's value; None without the package, without a keyring, without an entry."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ModuleNotFoundError:
        return None
    try:
        return keyring.get_password(KEYRING, name)
    except KeyringError:
        return None
