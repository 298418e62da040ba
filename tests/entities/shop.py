"""The data model that the tests read: what the services of a shop store."""

from __future__ import annotations

from sagakit.entities import DataModel

SHOP = """\
input: Order
entities:
- name: Customer
  service: customers
  fields:
  - {name: id, key: true}
  - {name: email}
  relations:
  - {name: orders, to: Order, kind: many}
- name: Order
  service: orders
  description: What a customer wants.
  fields:
  - {name: id, type: uuid, key: true}
  - {name: placed_at, type: datetime}
  - {name: total, type: money, description: "In euro, taxes included."}
  - {name: note, optional: true}
  - {name: extra, type: json, optional: true}
  relations:
  - {name: customer, to: Customer}
  - {name: lines, to: OrderLine, kind: many}
- name: OrderLine
  service: orders
  fields:
  - {name: id, type: integer, key: true}
  - {name: quantity, type: integer}
  relations:
  - {name: order, to: Order}
  - {name: product, to: Product}
- name: Product
  service: inventory
  fields:
  - {name: sku, key: true}
  - {name: price, type: money}
  relations:
  - {name: tags, to: Tag, kind: many}
  - {name: parts, to: Product, kind: many}
  - {name: part_of, to: Product}
- name: Tag
  service: inventory
  fields:
  - {name: word, key: true}
  - {name: since, key: true, type: date}
  relations:
  - {name: products, to: Product, kind: many}
"""


def shop() -> DataModel:
    return DataModel.from_yaml(SHOP)
