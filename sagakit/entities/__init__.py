"""Entities: what a saga's services store, as data. It gives the saga its input schema, an ER
picture, and SQLAlchemy models for each service."""

from sagakit.entities.kinds import FIELD_TYPES, FieldType
from sagakit.entities.model import DataModel, Entity, Field, Relation

__all__ = ["FIELD_TYPES", "DataModel", "Entity", "Field", "FieldType", "Relation"]
