"""Running a valid query: the selection is compiled once a request into plain calls, then run over the sources.

Belongs here: the mechanics of GraphQL execution, cost counting and access scopes. Does not belong here: what a field
means (`fields*`). graphql-core's own executor gives the same data (a test compares them) at several times the price:
it allocates for every leaf of every order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    InlineFragmentNode,
    SelectionSetNode,
    get_named_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.values import get_argument_values, get_directive_values
from graphql.type import GraphQLField, GraphQLIncludeDirective, GraphQLSkipDirective

from hotdash_pipelines.demo.shopify.cost import QueryPlan
from hotdash_pipelines.demo.shopify.schema import Operation, schema

Resolver = Callable[..., Any]
Run = Callable[[Any], Any]
# In place of a compiled selection whose non-null field may not be read: null travels up to the nearest nullable.
DENIED = object()


class QueryFault(Exception):
    """A fault in the query's arguments that GraphQL validation cannot see; `error` goes to the client as it is."""

    def __init__(self, message: str, **extensions: Any) -> None:
        super().__init__(message)
        self.error: dict[str, Any] = {"message": message}
        if extensions:
            self.error["extensions"] = extensions


@dataclass
class Request:
    """What resolvers may need of the request at hand, and what running it adds up."""

    variables: Mapping[str, Any]
    scopes: frozenset[str]
    plan: QueryPlan
    approvals: frozenset[str] = frozenset()
    cost: float = 0.0
    errors: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Wiring:
    """How the schema's fields are read.

    `resolvers[type][field]` is called with the source, or with (source, arguments, request) if the field takes
    arguments. `type_of(source)` names the concrete type of an interface's or union's source. `scopes` names the
    access scope a field needs, `approvals` the approval for protected customer data and the words for lacking it.
    `overlay(source)` gives values that replace an object's fields, or None.
    """

    resolvers: Mapping[str, Mapping[str, Resolver]]
    type_of: Callable[[Any], str]
    scopes: Mapping[tuple[str, str], str]
    approvals: Mapping[tuple[str, str], tuple[str, str]]
    overlay: Mapping[str, Callable[[Any], Mapping[str, Any] | None]]


def is_connection(type_name: str) -> bool:
    """True for the types that page over nodes."""
    return type_name.endswith("Connection")


class Compiler:
    """Compiles one operation for one request."""

    def __init__(self, operation: Operation, request: Request, wiring: Wiring) -> None:
        self.operation = operation
        self.request = request
        self.wiring = wiring
        self.schema = schema()
        self.requested = 0.0

    def compile(self) -> Run | None:
        """The whole query as one call; `requested` holds its cost then. None if access to it is denied."""
        root = self.schema.query_type
        if root is None:
            raise AssertionError("the schema has a query type")
        run, self.requested = self._object(root, [self.operation.node.selection_set], [])
        return None if run is DENIED else run

    def _collect(
        self, type_: GraphQLObjectType, sets: Sequence[SelectionSetNode], into: dict[str, list[FieldNode]]
    ) -> None:
        for selection_set in sets:
            for node in selection_set.selections:
                if not self._is_included(node):
                    continue
                if isinstance(node, FieldNode):
                    into.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
                elif isinstance(node, InlineFragmentNode):
                    condition = node.type_condition
                    if condition is None or self._applies(condition.name.value, type_):
                        self._collect(type_, [node.selection_set], into)
                elif isinstance(node, FragmentSpreadNode):
                    fragment = self.operation.fragments[node.name.value]
                    if self._applies(fragment.type_condition.name.value, type_):
                        self._collect(type_, [fragment.selection_set], into)

    def _is_included(self, node: Any) -> bool:
        if not node.directives:
            return True
        skip = get_directive_values(GraphQLSkipDirective, node, dict(self.request.variables))
        include = get_directive_values(GraphQLIncludeDirective, node, dict(self.request.variables))
        return not (skip and skip["if"]) and not (include and not include["if"])

    def _applies(self, condition: str, type_: GraphQLObjectType) -> bool:
        if condition == type_.name:
            return True
        named = self.schema.get_type(condition)
        return isinstance(named, GraphQLInterfaceType | GraphQLUnionType) and self.schema.is_sub_type(named, type_)

    def _object(self, type_: GraphQLObjectType, sets: Sequence[SelectionSetNode], path: list[str]) -> tuple[Any, float]:
        """(a call that turns a source into a dict, the cost of the selection's fields)."""
        collected: dict[str, list[FieldNode]] = {}
        self._collect(type_, sets, collected)
        runs: list[tuple[str, Run]] = []
        names: dict[str, str] = {}
        cost, denied = 0.0, False
        for key, nodes in collected.items():
            name = nodes[0].name.value
            names[key] = name
            if name == "__typename":
                runs.append((key, lambda _source, _name=type_.name: _name))
                continue
            run, field_cost = self._field(type_, type_.fields[name], name, nodes, [*path, key])
            cost += field_cost
            denied = denied or run is DENIED
            runs.append((key, run))
        if denied:
            return DENIED, cost
        overlay = self.wiring.overlay.get(type_.name)
        if overlay is None:
            return (lambda source: {key: run(source) for key, run in runs}), cost

        def run_with_overlay(source: Any) -> dict[str, Any]:
            result = {key: run(source) for key, run in runs}
            changes = overlay(source)
            if changes:
                result.update({key: changes[names[key]] for key in result if names[key] in changes})
            return result

        return run_with_overlay, cost

    def _field(
        self, parent: GraphQLObjectType, definition: GraphQLField, name: str, nodes: list[FieldNode], path: list[str]
    ) -> tuple[Any, float]:
        scope = self.wiring.scopes.get((parent.name, name))
        if scope is not None and scope not in self.request.scopes:
            self._deny_scope(name, scope, nodes[0], path)
            return (DENIED if is_non_null_type(definition.type) else _nothing), 0.0
        approval, words = self.wiring.approvals.get((parent.name, name), (None, ""))
        if approval is not None and approval not in self.request.approvals:
            self._deny(
                f"This app is not approved to {words}. "
                "See https://shopify.dev/docs/apps/launch/protected-customer-data for more details.",
                {"documentation": "https://shopify.dev/docs/apps/launch/protected-customer-data"},
                nodes[0],
                path,
            )
            return (DENIED if is_non_null_type(definition.type) else _nothing), 0.0
        arguments = get_argument_values(definition, nodes[0], dict(self.request.variables)) if definition.args else None
        resolver = self.wiring.resolvers[parent.name][name]
        request = self.request
        get: Run = resolver if arguments is None else (lambda source: resolver(source, arguments, request))
        named: Any = get_named_type(definition.type)
        if not is_composite_type(named):
            return get, 0.0
        sets = [node.selection_set for node in nodes if node.selection_set]
        child, cost = self._composite(named, sets, path)
        if child is DENIED:
            return (DENIED if is_non_null_type(definition.type) else _nothing), cost
        declared: Any = definition.type
        nullable = declared.of_type if is_non_null_type(declared) else declared
        plan = request.plan
        if is_connection(named.name):
            asked = _asked(arguments)
            return self._connection(get, child), 2 + plan.size(asked) * cost
        own = plan.object_cost(named.name)
        total = own + cost
        if is_list_type(nullable):
            if arguments and "first" in definition.args:
                total *= plan.size(_asked(arguments))
            return self._list(get, child, own), total

        def run_one(source: Any) -> Any:
            value = get(source)
            if value is None:
                return None
            request.cost += own
            return child(value)

        def run_free(source: Any) -> Any:
            value = get(source)
            return None if value is None else child(value)

        # An edge or a page's nodes cost what the connection already counted.
        return (run_one if own else run_free), total

    def _composite(self, named: Any, sets: list[SelectionSetNode], path: list[str]) -> tuple[Any, float]:
        if isinstance(named, GraphQLObjectType):
            return self._object(named, sets, path)
        branches: dict[str, Run] = {}
        highest = 0.0
        for possible in self.schema.get_possible_types(named):
            run, cost = self._object(possible, sets, path)
            if run is DENIED:
                return DENIED, cost
            branches[possible.name] = run
            highest = max(highest, cost)
        type_of = self.wiring.type_of
        return (lambda source: branches[type_of(source)](source)), highest

    def _list(self, get: Run, child: Run, own: int) -> Run:
        request = self.request

        def run_list(source: Any) -> Any:
            values = get(source)
            if not values:
                return [] if values is not None else None
            request.cost += own * len(values)
            return [child(value) for value in values]

        return run_list

    def _connection(self, get: Run, child: Run) -> Run:
        """The actual cost scales the nodes' cost with the number returned, as the requested one does with `first`."""
        request, size = self.request, self.request.plan.size

        def run_connection(source: Any) -> Any:
            page = get(source)
            if page is None:
                return None
            before = request.cost
            result = child(page)
            count = len(page.nodes)
            nodes_cost = request.cost - before
            request.cost = before + 2 + (nodes_cost * size(count) / count if count else 0.0)
            return result

        return run_connection

    def _deny_scope(self, name: str, scope: str, node: FieldNode, path: list[str]) -> None:
        self._deny(
            f"Access denied for {name} field. Required access: `{scope}` access scope.",
            {
                "documentation": "https://shopify.dev/api/usage/access-scopes",
                "requiredAccess": f"`{scope}` access scope.",
            },
            node,
            path,
        )

    def _deny(self, message: str, details: Mapping[str, str], node: FieldNode, path: list[str]) -> None:
        location = node.loc
        line = location.start_token.line if location else 1
        column = location.start_token.column if location else 1
        self.request.errors.append(
            {
                "message": message,
                "locations": [{"line": line, "column": column}],
                "extensions": {"code": "ACCESS_DENIED", **details},
                "path": path,
            }
        )


def _nothing(_source: Any) -> None:
    return None


def _asked(arguments: Mapping[str, Any] | None) -> int:
    arguments = arguments or {}
    return arguments.get("first") or arguments.get("last") or 1


def coerce_variables(operation: Operation, variables: Mapping[str, Any]) -> Mapping[str, Any] | list[dict[str, Any]]:
    """The operation's variables with their defaults and types, or the errors as they go to the client."""
    from graphql.execution.values import get_variable_values

    coerced = get_variable_values(schema(), operation.node.variable_definitions or (), dict(variables))
    if isinstance(coerced, list):
        return [_variable_error(error) for error in coerced]
    return coerced


def _variable_error(error: GraphQLError) -> dict[str, Any]:
    return {"message": error.message, "extensions": {"code": "INVALID_VARIABLE"}}
