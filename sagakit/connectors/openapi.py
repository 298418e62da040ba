"""REST steps from a document in OpenAPI 3: each operation becomes an HTTP request with its schema.

What an operation takes is the saga's input under the operation's name: its parameters by theirs,
its body as ``body``. The document's security schemes become references to secrets, its examples
(or values that fit its schemas) what a simulation takes for results. Nothing is fetched.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sagakit.connectors.rest import Http
from sagakit.connectors.secret import Secret
from sagakit.errors import DefinitionError

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_NO_PARAMETERS = ("accept", "authorization", "content-type")  # as the specification says
_KEY_HEADERS = ("idempotency-key", "x-idempotency-key", "paypal-request-id", "x-request-id")
_NAMED = (".yaml", ".yml", ".json")
_LARGEST = 1_000_000  # values in all schemas of an operation: aliases may unfold without measure
_DEEPEST = 6  # of a made-up example


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of a document, as a step can do it.

    Parameters:
        name: the operation's id, or its method and path, as a step's name.
        path: as the document has it.
        summary: one sentence.
        action: the request.
        compensation: a request that deletes what this one makes, where the document has one.
        input: JSON Schema of what it takes from the saga's input, under its name; None: nothing.
        defs: the schemas that ``input`` refers to, by their names.
    """

    name: str
    path: str
    summary: str = ""
    action: Http
    compensation: Http | None = None
    input: dict[str, Any] | None = None
    defs: dict[str, Any] = {}


def operations(
    document: str | os.PathLike[str] | Mapping[str, Any],
    only: Iterable[str] = (),
    *,
    server: str | None = None,
) -> list[Operation]:
    """The operations of a document.

    Parameters:
        document: the path of a file, its text (YAML or JSON), or what is in it.
        only: ids of operations, or ``"PUT /orders/{id}"``; all that can be done when left out.
        server: the address before every path; the document's first one when left out.

    Raises:
        DefinitionError: it is no such document, an operation is not in it or cannot be done by an
            HTTP connector, or there is no address.
        OSError: the file cannot be read.
    """
    source, content = _read(document)
    return _Document(source, content, server).operations(tuple(only))


def title(document: str | os.PathLike[str] | Mapping[str, Any]) -> str:
    """The document's title."""
    info = _read(document)[1].get("info")
    return str(info.get("title", "")) if isinstance(info, Mapping) else ""


def input_schema(found: Iterable[Operation]) -> dict[str, Any] | None:
    """The JSON Schema of a saga's input whose steps are these operations; None: they take none."""
    taking = {one.name: one for one in found if one.input is not None}
    if not taking:
        return None
    schema: dict[str, Any] = {
        "type": "object",
        "required": [name for name, one in taking.items() if (one.input or {}).get("required")],
        "properties": {name: one.input for name, one in taking.items()},
    }
    defs = {name: part for one in taking.values() for name, part in one.defs.items()}
    return schema | ({"$defs": defs} if defs else {})


def _read(document: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[str, Any]:
    if isinstance(document, Mapping):
        return "the document", document
    text, source = str(document), "the document"
    if not isinstance(document, str) or ("\n" not in text and text.endswith(_NAMED)):
        source = text
        try:
            text = Path(document).read_text("utf-8")
        except UnicodeDecodeError as error:
            raise DefinitionError(source, [f"is not UTF-8 text (byte {error.start})"]) from None
    if text.lstrip().startswith("{"):
        try:
            return source, msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise DefinitionError(source, [f"is not JSON: {error}"]) from None
    import yaml

    try:
        return source, yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DefinitionError(source, [f"is not YAML: {' '.join(str(error).split())}"]) from None


class _Document:
    """A document, walked for its operations."""

    def __init__(self, source: str, content: Any, server: str | None) -> None:
        self.source = source
        if not isinstance(content, Mapping):
            raise self._bad("is not a mapping; give a document in OpenAPI 3")
        version = content.get("openapi")
        if not str(version or "").startswith("3."):
            found = f"Swagger {content['swagger']}" if "swagger" in content else "no OpenAPI"
            raise self._bad(f"is {found}; convert it to OpenAPI 3 first")
        self.content = content
        self._values = 0
        self.server = self._server(content if server is None else {"servers": [{"url": server}]})

    def _bad(self, text: str) -> DefinitionError:
        return DefinitionError(self.source, [text])

    def _server(self, part: Mapping[str, Any]) -> str:
        first: Mapping[str, Any] = next(iter(part.get("servers") or ()), {})
        url = str(first.get("url", ""))
        for name, variable in (first.get("variables") or {}).items():
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
        if not url.startswith(("http://", "https://")):
            found = f"names the server '{url}'" if url else "names no server"
            raise self._bad(f"{found}; give server='https://…' (--server)")
        return url.rstrip("/")

    def operations(self, only: tuple[str, ...]) -> list[Operation]:
        places: dict[str, tuple[str, str]] = {}
        for place in self._places():
            name = self._name(*place)
            places[name if name not in places else f"{name}_{len(places)}"] = place
        by_place = {f"{method.upper()} {path}": name for name, (method, path) in places.items()}
        wanted = [by_place.get(one, one) for one in only]
        strange = [one for one in wanted if one not in places]
        if strange:
            import difflib

            close = difflib.get_close_matches(strange[0], [*places, *by_place], n=1)
            cure = f"did you mean '{close[0]}'?" if close else f"it has {', '.join(places)}"
            raise self._bad(f"has no operation '{strange[0]}'; {cure}")
        if not places:
            raise self._bad("has no operations; give one with paths")
        return [self._operation(name, *places[name]) for name in wanted or places]

    def _places(self) -> Iterator[tuple[str, str]]:
        for path, item in (self._mapping(self.content.get("paths"))).items():
            for method in _METHODS:
                if method in self._mapping(item):
                    yield method, str(path)

    def _mapping(self, value: Any) -> Mapping[str, Any]:
        """What stands there, references followed."""
        for _ in range(32):
            if not isinstance(value, Mapping):
                return {}
            if "$ref" not in value:
                return value
            value = self._at(str(value["$ref"]))
        raise self._bad("has a reference that leads back to itself")

    def _at(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            raise self._bad(f"refers to '{reference}', which is not in it; bundle it into one file")
        found: Any = self.content
        for part in reference[2:].split("/"):
            key = urllib.parse.unquote(part).replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                raise self._bad(f"refers to '{reference}', which is not there")
            found = found[key]
        return found

    def _name(self, method: str, path: str) -> str:
        given = self._mapping(self._mapping(self.content["paths"])[path])[method]
        id = self._mapping(given).get("operationId")
        text = re.sub(r"\W", "_", str(id), flags=re.ASCII) if id else f"{method}_{path}"
        return (text if id else re.sub(r"[^A-Za-z0-9]+", "_", text)).strip("_") or method

    # -- one operation ----------------------------------------------------------------------

    def _operation(self, name: str, method: str, path: str) -> Operation:
        item = self._mapping(self._mapping(self.content["paths"])[path])
        given = self._mapping(item[method])
        taken = _Taken(self, name)
        taken.parameters([*(item.get("parameters") or ()), *(given.get("parameters") or ())])
        json = taken.body(self._mapping(given.get("requestBody")))
        headers, query = self._security(given)
        statuses = self._statuses(given)
        key: dict[str, Any] = {"idempotency_header": taken.key} if taken.key else {}
        action = Http(
            self._address(path, name),
            method=method.upper(),  # type: ignore[arg-type]
            headers={**taken.headers, **headers},
            query={**taken.query, **query},
            json=json,
            expect=tuple(status for status in statuses if 200 <= status < 300),
            absent=(404,) if method == "delete" else (),
            example=self._example(given),
            **key,
        )
        return Operation(
            name=name,
            path=path,
            summary=" ".join(str(given.get("summary") or "").split()),
            action=action,
            compensation=self._deletion(name, method, path),
            input=taken.schema(),
            defs=taken.defs,
        )

    def _address(self, path: str, name: str, **known: str) -> str:
        def fill(match: re.Match[str]) -> str:
            return known.get(match[1]) or _template(f"input.{name}", match[1])

        return self.server + re.sub(r"\{([^{}]+)\}", fill, path.replace("${", "$${"))

    def _statuses(self, given: Mapping[str, Any]) -> list[int]:
        found = [str(status) for status in self._mapping(given.get("responses"))]
        return sorted(int(status) for status in found if status.isdigit())

    def _deletion(self, name: str, method: str, path: str) -> Http | None:
        """A request that deletes what this one makes: of the same path, or of an item of it that
        the answer identifies."""
        paths = self._mapping(self.content["paths"])
        if method == "put" and "delete" in self._mapping(paths[path]):
            return self._delete(path, self._address(path, name))
        if method != "post":
            return None
        for other, item in paths.items():
            match = re.fullmatch(re.escape(path.rstrip("/")) + r"/\{([^{}]+)\}", str(other))
            if match and "delete" in self._mapping(item):
                answer = self._answer(self._mapping(self._mapping(paths[path])[method]))
                properties = self._mapping(answer.get("schema")).get("properties") or {}
                key = next((key for key in (match[1], "id") if key in properties), None)
                if key is not None:
                    known = {match[1]: _template("result", key)}
                    return self._delete(other, self._address(other, name, **known))
        return None

    def _delete(self, path: str, address: str) -> Http:
        given = self._mapping(self._mapping(self._mapping(self.content["paths"])[path])["delete"])
        headers, query = self._security(given)
        return Http(address, method="DELETE", headers=headers, query=query, absent=(404,))

    def _security(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The headers and parameters that say who asks, as references to secrets."""
        wanted = given.get("security", self.content.get("security")) or [{}]
        schemes = self._mapping(
            self._mapping(self.content.get("components")).get("securitySchemes")
        )
        title = str(self._mapping(self.content.get("info")).get("title") or "api")
        stem = re.sub(r"[^A-Z0-9]+", "_", title.upper()).strip("_") or "API"
        stem = stem if stem[0].isalpha() else f"API_{stem}"
        headers: dict[str, Any] = {}
        query: dict[str, Any] = {}
        for name in wanted[0]:
            scheme = self._mapping(schemes.get(name))
            basic = str(scheme.get("scheme", "")).lower() == "basic"
            if scheme.get("type") == "apiKey":
                secret = Secret(f"{stem[:80]}_KEY")
                place = {"header": headers, "query": query}.get(str(scheme.get("in")), {})
                place[str(scheme.get("name"))] = secret
            elif scheme:
                prefix = "Basic " if basic else "Bearer "
                headers["Authorization"] = Secret(f"{stem[:80]}_TOKEN", prefix=prefix)
        return headers, query

    def _answer(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The JSON of the first answer that means success."""
        responses = self._mapping(given.get("responses"))
        for status in sorted(map(str, responses)):
            if status.startswith("2"):
                answer = self._mapping({str(key): part for key, part in responses.items()}[status])
                return _json_of(self._mapping(answer.get("content")))[1]
        return {}

    def _example(self, given: Mapping[str, Any]) -> Any:
        media = self._answer(given)
        if "example" in media:
            return _plain(media["example"])
        for example in self._mapping(media.get("examples")).values():
            return _plain(self._mapping(example).get("value"))
        return self._sample(media.get("schema"), 0)

    def _sample(self, schema: Any, depth: int) -> Any:
        """A value that fits a schema, as far as it says."""
        schema = self._mapping(schema)
        for key in ("example", "default", "const"):
            if key in schema:
                return _plain(schema[key])
        if schema.get("enum"):
            return _plain(schema["enum"][0])
        for key in ("allOf", "oneOf", "anyOf"):
            parts = [self._sample(part, depth) for part in schema.get(key) or ()]
            if key == "allOf" and parts and all(isinstance(part, dict) for part in parts):
                return {name: value for part in parts for name, value in part.items()}
            if parts:
                return parts[0]
        kind = schema.get("type", "object" if "properties" in schema else None)
        if kind == "object" and depth < _DEEPEST:
            properties = self._mapping(schema.get("properties"))
            return {str(name): self._sample(part, depth + 1) for name, part in properties.items()}
        if kind == "array" and depth < _DEEPEST and "items" in schema:
            return [self._sample(schema["items"], depth + 1)]
        kind = kind[0] if isinstance(kind, list) and kind else kind
        least = schema.get("minimum", 1)
        values = {"string": "text", "boolean": True, "integer": least, "number": least}
        return values.get(kind, {} if kind == "object" else [] if kind == "array" else None)

    # -- schemas ----------------------------------------------------------------------------

    def schema(self, value: Any, defs: dict[str, Any]) -> Any:
        """A schema of OpenAPI as JSON Schema has it; what it refers to goes into ``defs``."""
        self._values += 1
        if self._values > _LARGEST:
            raise self._bad("unfolds into too much; write its aliases as references")
        if isinstance(value, list):
            return [self.schema(part, defs) for part in value]
        if not isinstance(value, Mapping):
            return _plain(value)
        if isinstance(value.get("$ref"), str):
            name = re.sub(r"\W+", "_", value["$ref"].rpartition("/")[2])
            if name not in defs:
                defs[name] = {}  # it may refer to itself
                defs[name] = self.schema(self._at(value["$ref"]), defs)
            return {"$ref": f"#/$defs/{name}"}
        made = {
            str(key): self.schema(part, defs)
            for key, part in value.items()
            if key not in ("example", "examples", "discriminator", "xml", "externalDocs")
        }
        if made.pop("nullable", False) is True and isinstance(made.get("type"), str):
            made["type"] = [made["type"], "null"]
        for bound in ("Minimum", "Maximum"):  # true and false in OpenAPI 3.0
            strict = made.get(f"exclusive{bound}")
            if isinstance(strict, bool):
                del made[f"exclusive{bound}"]
                if strict and bound.lower() in made:
                    made[f"exclusive{bound}"] = made.pop(bound.lower())
        return made


class _Taken:
    """What an operation takes from the saga's input, and where it puts it."""

    def __init__(self, document: _Document, name: str) -> None:
        self.document = document
        self.name = name
        self.place = f"input.{name}"
        self.properties: dict[str, Any] = {}
        self.required: list[str] = []
        self.defs: dict[str, Any] = {}
        self.headers: dict[str, str | Secret] = {}
        self.query: dict[str, Any] = {}
        self.key: str | None = None

    def parameters(self, given: Iterable[Any]) -> None:
        by_place = {}
        for one in given:
            parameter = self.document._mapping(one)
            by_place[parameter.get("name"), parameter.get("in")] = parameter
        for parameter in by_place.values():
            self._parameter(parameter)

    def _parameter(self, parameter: Mapping[str, Any]) -> None:
        name, place = str(parameter.get("name")), parameter.get("in")
        required = place == "path" or parameter.get("required") is True
        if place == "header" and name.lower() in _KEY_HEADERS:
            self.key = name
            return
        if place == "cookie" or (place == "header" and name.lower() in _NO_PARAMETERS):
            return
        if place == "header" and not required:
            return  # a header has no way to be left out
        value = _template(self.place, name)
        if place == "query":
            self.query[name] = value if required else _optional(self.place, name)
        elif place == "header":
            self.headers[name] = value
        schema = self.document.schema(parameter.get("schema") or {}, self.defs)
        if parameter.get("description"):
            schema["description"] = " ".join(str(parameter["description"]).split())
        self._take(name, schema, required)

    def _take(self, name: str, schema: Any, required: bool) -> None:
        self.properties[name] = schema
        if required:
            self.required.append(name)

    def body(self, given: Mapping[str, Any]) -> Any:
        """The request's body, from the input."""
        content = self.document._mapping(given.get("content"))
        if not content:
            return None
        kind, media = _json_of(content)
        if kind is None:
            known = ", ".join(map(str, content))
            raise self.document._bad(
                f"has the operation '{self.name}', whose body is {known} and not JSON; leave it "
                "out, or write its step by hand"
            )
        schema = self.document.schema(media.get("schema") or {}, self.defs)
        self._take("body", schema, given.get("required") is True)
        return f"${{{self.place}.body}}" if given.get("required") else _optional(self.place, "body")

    def schema(self) -> dict[str, Any] | None:
        if not self.properties:
            return None
        required = {"required": self.required} if self.required else {}
        return {"type": "object", **required, "properties": self.properties}


def _json_of(content: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any]]:
    """The media type that is JSON, and what is said of it."""
    for kind, media in content.items():
        name = str(kind).partition(";")[0].strip().lower()
        if name == "application/json" or name.endswith("+json") or name == "*/*":
            return str(kind), media if isinstance(media, Mapping) else {}
    return None, {}


def _field(place: str, name: str) -> str:
    return f"{place}.{name}" if name.isidentifier() and name.isascii() else f"{place}[{name!r}]"


def _template(place: str, name: str) -> str:
    return f"${{{_field(place, name)}}}"


def _optional(place: str, name: str) -> str:
    """What may be missing, and is then left out."""
    field = _field(place, name)
    there = (
        f"has({field})" if field.endswith(f".{name}") else f"has({place}) && {name!r} in {place}"
    )
    return f"${{{there} ? {field} : null}}"


def _plain(value: Any) -> Any:
    """A value of the document as plain data; dates, which YAML knows, as text."""
    return msgspec.to_builtins(value, str_keys=True)
