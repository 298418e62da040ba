"""REST steps from OpenAPI documents: a real one, run against its real server; and odd corners."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from click.testing import CliRunner

from sagakit import DefinitionError, InputError, Saga, run, simulate, step
from sagakit.cli import cli
from sagakit.connectors import Http, Secret
from sagakit.connectors.openapi import input_schema, operations
from sagakit.errors import SagaError

httpx = pytest.importorskip("httpx")

JUPYTER = Path(__file__).parents[1] / "data" / "jupyterlab-server.openapi.yaml"
PUT = "put_lab_api_workspaces_space_name"
TOKEN = "planted-jupyter-token"

SHOP: dict[str, Any] = yaml.safe_load("""
openapi: 3.1.0
info: {title: The Shop (beta), version: '1'}
servers:
- url: https://{region}.shop.example/v2/
  variables:
    region: {default: eu}
security:
- bearer: []
paths:
  /orders:
    parameters:
    - {$ref: '#/components/parameters/Dry'}
    post:
      operationId: create-order
      summary: "Takes an\\n order."
      parameters:
      - name: Idempotency-Key
        in: header
        schema: {type: string}
      - name: X-Shop
        in: header
        required: true
        schema: {}
      - name: X-Hint
        in: header
        schema: {}
      - name: Authorization
        in: header
        required: true
        schema: {}
      - name: session
        in: cookie
        schema: {}
      requestBody:
        required: true
        content:
          application/json; charset=utf-8:
            schema: {$ref: '#/components/schemas/Order'}
      responses:
        '201':
          content:
            application/json:
              schema: {$ref: '#/components/schemas/Order'}
        4XX: {description: refused}
  /orders/{id}:
    delete:
      operationId: drop
      security:
      - key: []
      responses:
        '204': {}
        '404': {}
    get:
      security: []
      responses:
        '200':
          content:
            application/json:
              example: {id: 5}
              schema: {}
    patch:
      operationId: form
      requestBody:
        content:
          application/x-www-form-urlencoded: {}
  /odd/{item-id}:
    get:
      operationId: odd
      parameters:
      - name: item-id
        in: path
        required: true
        schema: {type: string}
      - name: a-b
        in: query
        schema: {type: string}
      security:
      - asked: []
components:
  parameters:
    Dry:
      name: dry
      in: query
      schema: {type: boolean}
  schemas:
    Order:
      type: object
      required: [lines]
      properties:
        id: {type: integer, minimum: 7}
        note: {type: string, nullable: true}
        kind:
          enum: [b2b, b2c]
        price: {type: number, minimum: 0, exclusiveMinimum: true}
        lines:
          type: array
          items: {$ref: '#/components/schemas/Line'}
    Line:
      allOf:
      - type: object
        properties:
          sku: {type: string, example: a-1}
      - type: object
        properties:
          of: {$ref: '#/components/schemas/Order'}
  securitySchemes:
    bearer: {type: http, scheme: bearer}
    key: {type: apiKey, in: header, name: X-API-Key}
    asked: {type: apiKey, in: query, name: key}
""")


def one(name: str) -> Any:
    (found,) = operations(SHOP, [name])
    return found


# -- a real document, and its real server ------------------------------------------------------


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A JupyterLab server of its own."""
    pytest.importorskip("jupyterlab")
    folder = tmp_path_factory.mktemp("jupyter")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")}
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
         f"--IdentityProvider.token={TOKEN}", f"--LabApp.workspaces_dir={folder / 'spaces'}",
         f"--ServerApp.root_dir={folder}", "--ServerApp.ip=127.0.0.1"],
        env=os.environ | home | {"JUPYTER_RUNTIME_DIR": str(folder)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 90
        while time.monotonic() < until:
            try:
                if httpx.get(f"{url}/api").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def workspace_saga(server: str, *more: Any) -> Saga:
    found = operations(JUPYTER, [PUT, "get_lab_api_workspaces_space_name"], server=server)
    access = {"Authorization": Secret("SAGAKIT_TEST_JUPYTER", prefix="token ")}
    steps = []
    for operation in found:
        action = msgspec.structs.replace(operation.action, headers=access)
        undo = operation.compensation and msgspec.structs.replace(
            operation.compensation, headers=access
        )
        steps.append(step(action, undo, name=operation.name))
    return Saga("workspace", *steps, *more, input_schema=input_schema(found))


def test_steps_of_a_real_document_run_against_its_real_server(
    jupyter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGAKIT_TEST_JUPYTER", TOKEN)
    space = {"data": {"layout": {}}, "metadata": {"id": "made-by-saga"}}
    given = {
        PUT: {"space_name": "made-by-saga", "body": space},
        "get_lab_api_workspaces_space_name": {"space_name": "made-by-saga"},
    }
    execution = run(workspace_saga(jupyter), given)
    assert execution.status == "completed", execution.error
    read = execution.results["get_lab_api_workspaces_space_name"]
    assert read["metadata"]["id"] == "made-by-saga"

    fails = step(Http(f"{jupyter}/lab/api/nothing-here"), name="fails")
    given[PUT]["space_name"] = given["get_lab_api_workspaces_space_name"]["space_name"] = "undone"
    space["metadata"]["id"] = "undone"
    undone = run(workspace_saga(jupyter, fails), given)
    assert undone.status == "compensated"
    headers = {"Authorization": f"token {TOKEN}"}
    listed = httpx.get(f"{jupyter}/lab/api/workspaces/", headers=headers).json()
    assert "made-by-saga" in listed["workspaces"]["ids"]
    assert "undone" not in listed["workspaces"]["ids"]


def test_every_operation_of_a_real_document_is_a_sound_step_that_can_be_simulated() -> None:
    found = operations(JUPYTER, server="https://lab.example")
    assert len(found) == 12
    saga = Saga(
        "all",
        *[step(one.action, one.compensation, name=one.name) for one in found],
        input_schema=input_schema(found),
    )
    assert Saga.from_yaml(saga.to_yaml()) == saga
    schema = saga.input_schema
    assert schema is not None
    given = {
        name: {key: {} if key == "body" else "x" for key in part["required"]}
        for name, part in schema["properties"].items()
        if "required" in part
    }
    execution = simulate(saga, given)
    assert execution.status == "completed"
    assert execution.results["get_lab_api_settings"] == {
        "settings": [{"id": "text", "schema": {}, "version": "text", "raw": "text",
                      "settings": {}, "warning": "text", "last_modified": "text",
                      "created": "text"}]
    }  # fmt: skip
    with pytest.raises(InputError, match="space_name"):
        simulate(saga, given | {PUT: {"body": {}}})


# -- what becomes of what a document says -------------------------------------------------------


def test_an_operation_becomes_a_request() -> None:
    found = one("create-order".replace("-", "_"))
    assert found.summary == "Takes an order."
    assert found.action == Http(
        "https://eu.shop.example/v2/orders",
        method="POST",
        headers={
            "X-Shop": "${input.create_order['X-Shop']}",
            "Authorization": Secret("THE_SHOP_BETA_TOKEN", prefix="Bearer "),
        },
        query={"dry": "${has(input.create_order.dry) ? input.create_order.dry : null}"},
        json="${input.create_order.body}",
        expect=(201,),
        example={
            "id": 7, "note": "text", "kind": "b2b", "price": 0,
            "lines": [{"sku": "a-1", "of": found.action.example["lines"][0]["of"]}],
        },
    )  # fmt: skip
    assert found.input == {
        "type": "object",
        "required": ["X-Shop", "body"],
        "properties": {
            "dry": {"type": "boolean"},
            "X-Shop": {},
            "body": {"$ref": "#/$defs/Order"},
        },
    }
    order = found.defs["Order"]["properties"]
    assert order["note"] == {"type": ["string", "null"]}
    assert order["price"] == {"type": "number", "exclusiveMinimum": 0}
    assert order["lines"] == {"type": "array", "items": {"$ref": "#/$defs/Line"}}
    assert set(found.defs) == {"Order", "Line"}


def test_what_makes_an_item_is_undone_by_what_deletes_it() -> None:
    assert one("create_order").compensation == Http(
        "https://eu.shop.example/v2/orders/${result.id}",
        method="DELETE",
        headers={"X-API-Key": Secret("THE_SHOP_BETA_KEY")},
        absent=(404,),
    )
    assert one("drop").action.absent == (404,)


def test_no_security_means_no_secret_and_a_key_may_stand_in_the_query() -> None:
    found = one("GET /orders/{id}")
    assert (found.name, found.action.headers, found.action.example) == (
        "get_orders_id",
        {},
        {"id": 5},
    )
    odd = one("odd").action
    assert odd.url == "https://eu.shop.example/v2/odd/${input.odd['item-id']}"
    assert odd.query == {
        "a-b": "${has(input.odd) && 'a-b' in input.odd ? input.odd['a-b'] : null}",
        "key": Secret("THE_SHOP_BETA_KEY") and {"secret": "THE_SHOP_BETA_KEY"},
    }


BAD: dict[str, tuple[Any, str]] = {
    "a list": ("- a\n- b\n", "is not a mapping"),
    "no YAML": ("a: [\n", "is not YAML"),
    "no JSON": ('{"openapi": ', "is not JSON"),
    "Swagger 2": ({"swagger": "2.0", "paths": {}}, "is Swagger 2.0; convert it to OpenAPI 3"),
    "something else": ({"hello": 1}, "is no OpenAPI"),
    "no server": ({"openapi": "3.0.0"}, "names no server; give server='https://…'"),
    "a relative server": (
        {"openapi": "3.0.0", "servers": [{"url": "/api"}]}, "names the server '/api'; give server=",
    ),
    "no paths": (SHOP | {"paths": {}}, "has no operations"),
    "a file elsewhere": (SHOP | {"paths": {"/a": {"$ref": "b.yaml"}}}, "bundle it into one file"),
    "a broken reference": (SHOP | {"paths": {"/a": {"$ref": "#/x/y"}}}, "which is not there"),
    "a circle": (
        SHOP | {"paths": {"/a": {"$ref": "#/paths/~1a"}}}, "a reference that leads back to itself",
    ),
    "a form": (SHOP, "'form', whose body is application/x-www-form-urlencoded and not JSON"),
}  # fmt: skip


@pytest.mark.parametrize(("document", "said"), BAD.values(), ids=BAD)
def test_a_document_that_cannot_be_used_says_why(document: Any, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        operations(document)
    assert said in caught.value.problems[0]


def test_an_operation_that_is_not_there_is_named_with_the_nearest_one() -> None:
    with pytest.raises(
        DefinitionError, match=r"no operation 'create_ordr'; did you mean 'create_order'\?"
    ):
        operations(SHOP, ["create_ordr"])


# -- the command -----------------------------------------------------------------------------


def test_the_command_writes_a_saga_that_can_be_read(tmp_path: Path) -> None:
    out = tmp_path / "out.yaml"
    done = CliRunner().invoke(
        cli,
        ["import", "openapi", str(JUPYTER), "--server", "https://lab.example", "-p", PUT,
         "--compensate", "-o", str(out)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.output == f"{out}: saga 'jupyterlab-server', 1 step\n"
    saga = Saga.from_yaml(out)
    assert saga.name == "jupyterlab-server"
    assert saga[PUT].compensation is not None
    assert saga[PUT].description == "Override the workspace data for a given name"
    printed = CliRunner().invoke(
        cli, ["import", "openapi", str(JUPYTER), "--server", "https://lab.example", "-p", PUT]
    )
    assert Saga.from_yaml(printed.output)[PUT].compensation is None


def test_the_command_lists_operations_without_an_address() -> None:
    done = CliRunner().invoke(cli, ["import", "openapi", str(JUPYTER), "--list"])
    lines = done.output.splitlines()
    assert lines[0] == "operation\tmethod\tpath\tsummary"
    assert len(lines) == 13
    done = CliRunner().invoke(cli, ["import", "openapi", str(JUPYTER), "--list", "--json"])
    assert msgspec.json.decode(done.output)[0]["method"] == "GET"


def test_the_command_says_what_is_wrong() -> None:
    done = CliRunner().invoke(cli, ["import", "openapi", str(JUPYTER)])
    assert isinstance(done.exception, SagaError)
    assert "names no server" in str(done.exception)
