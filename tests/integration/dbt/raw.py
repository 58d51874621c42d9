"""Hand-made raw rows for the dbt tests.

Belongs here: writing rows into raw tables as the loader leaves them. Does not belong here: dbt (conftest.py), figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from hotdash_pipelines.contracts.model import Field, load_contracts
from hotdash_pipelines.warehouse.loading.ddl import ensure_raw_tables
from hotdash_pipelines.warehouse.projects import Project, upsert_project

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
LOADED = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)
PROJECT = "north"

_BLANK: Mapping[str, Any] = {
    "string": "",
    "int64": 0,
    "int32": 0,
    "bool": False,
    "float64": 0.0,
    "timestamp": NOON,
    "date": date(2026, 3, 2),
    "list<string>": [],
}


@dataclass(frozen=True)
class Line:
    """One order line; amounts are those of all its units, in the shop's currency."""

    line_id: int
    price: str
    quantity: int = 1
    discount: str = "0"
    tax: str = "0"
    variant_id: int | None = 501
    left: int | None = None
    gift_card: bool = False
    sku: str = "SKU"

    @property
    def gross(self) -> Decimal:
        """Price times quantity."""
        return Decimal(self.price) * self.quantity


@dataclass(frozen=True)
class Refund:
    """One refund: `lines` are (line id, units, value without tax, tax), `adjustments` are (reason, amount)."""

    refund_id: int
    at: datetime
    paid: str
    lines: tuple[tuple[int, int, str, str], ...] = ()
    adjustments: tuple[tuple[str, str], ...] = ()
    restock_type: str = "RETURN"


@dataclass(frozen=True)
class Sale:
    """One movement of a sales agreement; amounts are signed, `total` holds the tax, `discount` none."""

    total: str
    line_id: int | None = None
    quantity: int | None = None
    tax: str = "0"
    discount: str = "0"
    line_type: str = "PRODUCT"
    action: str = "ORDER"


@dataclass(frozen=True)
class Agreement:
    """Sales made at one instant for one reason."""

    at: datetime
    sales: tuple[Sale, ...]
    reason: str = "ORDER"
    refund_id: int | None = None


@dataclass
class RawShop:
    """The raw schemas of a test's own database. `loaded_at` is stamped on every row that is put."""

    conn: psycopg.Connection[Any]
    project: str = PROJECT
    loaded_at: datetime = LOADED
    _columns: dict[str, tuple[tuple[str, ...], dict[str, Field]]] = field(default_factory=dict)

    def prepare(self, *projects: str, zone: str = "America/New_York") -> None:
        """Make the raw tables and the rows of the projects."""
        contracts = load_contracts()
        ensure_raw_tables(self.conn, contracts)
        for contract in contracts:
            for table in contract.tables:
                fields = {name: contract.field_of(table, name) for name in table.column_names}
                self._columns[f"raw_{contract.source}.{table.name}"] = (("project_key", *table.key), fields)
        for key in projects or (self.project,):
            upsert_project(self.conn, Project(key, f"{key}.myshopify.com", "USD", zone, 1, "424242", True), LOADED)

    def put(self, table: str, **values: Any) -> None:
        """Insert or replace one row; columns not named get the blank value of their type, or null where they may."""
        key, fields = self._columns[table]
        row: dict[str, Any] = {
            "project_key": self.project,
            "_window": "2026-03-02",
            "_loaded_at": self.loaded_at,
            "_deleted_at": None,
        }
        for name, column in fields.items():
            row[name] = None if column.nullable else _blank(column)
        unknown = values.keys() - row.keys()
        if unknown:
            raise KeyError(f"{table} has no {sorted(unknown)}")
        row |= values
        names = list(row)
        self.conn.execute(
            sql.SQL("insert into {} ({}) values ({}) on conflict ({}) do update set {}").format(
                sql.Identifier(*table.split(".")),
                sql.SQL(", ").join(map(sql.Identifier, names)),
                sql.SQL(", ").join(map(sql.Placeholder, names)),
                sql.SQL(", ").join(map(sql.Identifier, key)),
                sql.SQL(", ").join(
                    sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names if name not in key
                ),
            ),
            row,
        )

    def order(
        self,
        order_id: int,
        *lines: Line,
        at: datetime = NOON,
        shipping: str = "0",
        customer_id: int | None = 71,
        email: str | None = "ann@example.com",
        refunds: tuple[Refund, ...] = (),
        agreements: tuple[Agreement, ...] | None = None,
        **values: Any,
    ) -> None:
        """An order with its lines and refunds as the source would tell it; replaces what the order had before.

        Without `agreements` an order that was only placed has the one of its lines and shipping, any other has none.
        """
        for table in (
            "order_lines",
            "refunds",
            "refund_lines",
            "refund_adjustments",
            "order_agreements",
            "order_sales",
        ):
            self.conn.execute(
                sql.SQL("delete from {} where project_key = %s and order_id = %s").format(
                    sql.Identifier("raw_shopify", table)
                ),
                (self.project, order_id),
            )
        subtotal = sum((line.gross - Decimal(line.discount) for line in lines), Decimal(0))
        tax = sum((Decimal(line.tax) for line in lines), Decimal(0))
        self.put(
            "raw_shopify.orders",
            **{
                "order_id": order_id,
                "order_name": f"#{order_id}",
                "created_at": at,
                "processed_at": at,
                "updated_at": at,
                "financial_status": "PAID",
                "fulfillment_status": "FULFILLED",
                "currency_code": "USD",
                "presentment_currency_code": "USD",
                "line_quantity": sum(line.quantity for line in lines),
                "subtotal_amount": subtotal,
                "discount_amount": sum((Decimal(line.discount) for line in lines), Decimal(0)),
                "tax_amount": tax,
                "shipping_amount": Decimal(shipping),
                "total_amount": subtotal + tax + Decimal(shipping),
                "current_total_amount": subtotal + tax + Decimal(shipping),
                "presentment_total_amount": subtotal + tax + Decimal(shipping),
                "refunded_amount": sum((Decimal(refund.paid) for refund in refunds), Decimal(0)),
                "customer_id": customer_id,
                "email": email,
                "source_name": "web",
                **values,
            },
        )
        for line in lines:
            self.put(
                "raw_shopify.order_lines",
                order_id=order_id,
                order_line_id=line.line_id,
                product_id=None if line.variant_id is None else 901,
                variant_id=line.variant_id,
                sku=line.sku,
                title="Linen Shirt",
                is_gift_card=line.gift_card,
                quantity=line.quantity,
                current_quantity=line.quantity if line.left is None else line.left,
                unit_price_amount=Decimal(line.price),
                gross_amount=line.gross,
                discount_amount=Decimal(line.discount),
                tax_amount=Decimal(line.tax),
                currency_code="USD",
            )
        for refund in refunds:
            self._refund(order_id, refund)
        if agreements is None:
            is_moved = refunds or any(line.left is not None for line in lines)
            is_placed = not is_moved and not any(
                name.endswith("_amount") or name in ("taxes_included", "cancelled_at") for name in values
            )
            agreements = (Agreement(at, _placed(lines, shipping)),) if is_placed else ()
        for number, agreement in enumerate(agreements, order_id * 100):
            self._agreement(order_id, number, agreement)

    def _agreement(self, order_id: int, number: int, agreement: Agreement) -> None:
        self.put(
            "raw_shopify.order_agreements",
            order_id=order_id,
            agreement_id=number,
            happened_at=agreement.at,
            reason=agreement.reason,
            refund_id=agreement.refund_id,
        )
        for place, sale in enumerate(agreement.sales):
            self.put(
                "raw_shopify.order_sales",
                order_id=order_id,
                agreement_id=number,
                sale_id=number * 100 + place,
                action_type=sale.action,
                line_type=sale.line_type,
                order_line_id=sale.line_id,
                quantity=sale.quantity,
                total_amount=Decimal(sale.total),
                tax_amount=Decimal(sale.tax),
                discount_amount=Decimal(sale.discount),
            )

    def _refund(self, order_id: int, refund: Refund) -> None:
        self.put(
            "raw_shopify.refunds",
            order_id=order_id,
            refund_id=refund.refund_id,
            created_at=refund.at,
            updated_at=refund.at,
            refunded_amount=Decimal(refund.paid),
            currency_code="USD",
        )
        for line_id, quantity, value, tax in refund.lines:
            self.put(
                "raw_shopify.refund_lines",
                order_id=order_id,
                refund_id=refund.refund_id,
                order_line_id=line_id,
                quantity=quantity,
                restock_type=refund.restock_type,
                subtotal_amount=Decimal(value),
                tax_amount=Decimal(tax),
            )
        for number, (reason, amount) in enumerate(refund.adjustments):
            self.put(
                "raw_shopify.refund_adjustments",
                order_id=order_id,
                refund_id=refund.refund_id,
                adjustment_id=refund.refund_id * 10 + number,
                reason=reason,
                amount=Decimal(amount),
            )

    def variant(self, variant_id: int, cost: str | None = None, **values: Any) -> None:
        """A listed variant of product 901."""
        self.put("raw_shopify.products", product_id=901, title="Linen Shirt", handle="linen-shirt", status="ACTIVE")
        self.put(
            "raw_shopify.product_variants",
            product_id=901,
            variant_id=variant_id,
            title="M",
            price_amount=Decimal("20"),
            unit_cost_amount=None if cost is None else Decimal(cost),
            **values,
        )

    def customer(self, customer_id: int, email: str | None, **values: Any) -> None:
        """A customer account."""
        self.put(
            "raw_shopify.customers",
            customer_id=customer_id,
            email=email,
            state="ENABLED",
            currency_code="USD",
            **values,
        )


def _placed(lines: tuple[Line, ...], shipping: str) -> tuple[Sale, ...]:
    sold = tuple(
        Sale(
            str(line.gross - Decimal(line.discount) + Decimal(line.tax)),
            line.line_id,
            line.quantity,
            line.tax,
            line.discount,
            "GIFT_CARD" if line.gift_card else "PRODUCT",
        )
        for line in lines
    )
    return (*sold, Sale(shipping, line_type="SHIPPING")) if Decimal(shipping) else sold


def _blank(column: Field) -> Any:
    if column.enum:
        return column.enum[0]
    return Decimal(0) if column.decimal else _BLANK[column.type]
