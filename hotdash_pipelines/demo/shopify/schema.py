"""The Admin schema subset, and documents parsed and validated against it.

Belongs here: loading the derived SDL, real GraphQL syntax and validation errors. Does not belong here: execution.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    build_schema,
    parse,
    validate,
)

SDL_FILE = "admin_2026_10.graphql"


@lru_cache(maxsize=1)
def schema() -> GraphQLSchema:
    """The schema subset, built once."""
    return build_schema(
        files("hotdash_pipelines.demo.shopify").joinpath(SDL_FILE).read_text(encoding="utf-8"), assume_valid=True
    )


@dataclass(frozen=True)
class Operation:
    """One executable operation of a valid document."""

    node: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode]
    document: DocumentNode

    @property
    def name(self) -> str:
        """The operation's name, or the name of its first root field where it has none."""
        if self.node.name:
            return self.node.name.value
        first: Any = self.node.selection_set.selections[0]
        return first.name.value if hasattr(first, "name") else "anonymous"


@lru_cache(maxsize=256)
def _checked(text: str) -> tuple[DocumentNode | None, tuple[GraphQLError, ...]]:
    try:
        document = parse(text)
    except GraphQLError as error:
        return None, (error,)
    return document, tuple(validate(schema(), document))


def prepare(text: str, operation_name: str | None) -> Operation | list[dict[str, Any]]:
    """The operation to run, or the errors as they go to the client; parsing and validation are cached by text."""
    document, errors = _checked(text)
    if document is None or errors:
        return [_public(error) for error in errors]
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if operation_name:
        operations = [node for node in operations if node.name and node.name.value == operation_name]
    if len(operations) != 1:
        return [{"message": "An operation name is required" if not operation_name else "No such operation"}]
    if operations[0].operation is not OperationType.QUERY:
        return [{"message": "Schema is not configured for mutations"}]
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    return Operation(operations[0], fragments, document)


def _public(error: GraphQLError) -> dict[str, Any]:
    locations = [{"line": place.line, "column": place.column} for place in error.locations or ()]
    return {"message": error.message, "locations": locations, "extensions": {"code": "graphqlError"}}
