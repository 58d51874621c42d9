"""What our path is measured against: dlt in two ways, and the least that any Python program would do.

Belongs here: dlt as its user would write it, and bare COPY. Does not belong here: our path (paths.py).
"""

import csv
import io
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from benchmarks.orders import read_pages

if TYPE_CHECKING:
    import pyarrow as pa

_KEYS = {
    "orders": ("order_id",),
    "order_lines": ("order_line_id",),
    "refunds": ("refund_id",),
    "refund_lines": ("refund_id", "refund_line_id"),
    "refund_adjustments": ("adjustment_id",),
    "order_agreements": ("order_id", "agreement_id"),
    "order_sales": ("order_id", "agreement_id", "sale_id"),
}
# 10,000 orders: a batch that keeps memory low and the share of fixed costs small.
_BATCH_PAGES = 40

Timed = Callable[[], dict[str, float]]
Row = dict[str, Any]


def flatten(page: bytes) -> dict[str, list[Row]]:
    """One response -> flat rows a table, in the columns and order of the contract; values as JSON has them."""
    tables: dict[str, list[Row]] = {name: [] for name in _KEYS}
    orders, lines = tables["orders"], tables["order_lines"]
    for node in orjson.loads(page)["data"]["orders"]["nodes"]:
        order_id = int(node["legacyResourceId"])
        orders.append(_order(order_id, node))
        for line in node["lineItems"]["nodes"]:
            lines.append(_line(order_id, line))
        for refund in node["refunds"]:
            _add_refund(tables, order_id, refund)
        for agreement in node["agreements"]["nodes"]:
            _add_agreement(tables, order_id, agreement)
    return tables


def _order(order_id: int, node: Row) -> Row:
    customer, address = node["customer"], node["shippingAddress"]
    visit = node["customerJourneySummary"]["lastVisit"]
    utm = visit["utmParameters"]
    return {
        "order_id": order_id,
        "order_name": node["name"],
        "created_at": node["createdAt"],
        "processed_at": node["processedAt"],
        "updated_at": node["updatedAt"],
        "cancelled_at": node["cancelledAt"],
        "cancel_reason": node["cancelReason"],
        "closed_at": node["closedAt"],
        "is_test": node["test"],
        "financial_status": node["displayFinancialStatus"],
        "fulfillment_status": node["displayFulfillmentStatus"],
        "currency_code": node["currencyCode"],
        "presentment_currency_code": node["presentmentCurrencyCode"],
        "taxes_included": node["taxesIncluded"],
        "line_quantity": node["subtotalLineItemsQuantity"],
        "subtotal_amount": node["subtotalPriceSet"]["shopMoney"]["amount"],
        "discount_amount": node["totalDiscountsSet"]["shopMoney"]["amount"],
        "tax_amount": node["totalTaxSet"]["shopMoney"]["amount"],
        "shipping_amount": node["totalShippingPriceSet"]["shopMoney"]["amount"],
        "tip_amount": node["totalTipReceivedSet"]["shopMoney"]["amount"],
        "duty_amount": None,
        "fee_amount": None,
        "cash_rounding_amount": node["totalCashRoundingAdjustment"]["paymentSet"]["shopMoney"]["amount"],
        "refund_rounding_amount": node["totalCashRoundingAdjustment"]["refundSet"]["shopMoney"]["amount"],
        "total_amount": node["totalPriceSet"]["shopMoney"]["amount"],
        "refunded_amount": node["totalRefundedSet"]["shopMoney"]["amount"],
        "current_total_amount": node["currentTotalPriceSet"]["shopMoney"]["amount"],
        "current_shipping_amount": node["currentShippingPriceSet"]["shopMoney"]["amount"],
        "presentment_total_amount": node["totalPriceSet"]["presentmentMoney"]["amount"],
        "customer_id": int(customer["legacyResourceId"]) if customer else None,
        "email": node["email"],
        "customer_order_number": node["customerJourneySummary"]["customerOrderIndex"],
        "source_name": node["sourceName"],
        "tags": node["tags"],
        "discount_codes": node["discountCodes"],
        "shipping_city": address["city"],
        "shipping_province_code": address["provinceCode"],
        "shipping_country_code": address["countryCodeV2"],
        "landing_page": visit["landingPage"],
        "utm_source": utm["source"],
        "utm_medium": utm["medium"],
        "utm_campaign": utm["campaign"],
    }


def _line(order_id: int, line: Row) -> Row:
    totals, whole = line["lineTotals"], line["originalTotalSet"]["shopMoney"]
    return {
        "order_id": order_id,
        "order_line_id": _number(line["id"]),
        "product_id": int(line["product"]["legacyResourceId"]),
        "variant_id": int(line["variant"]["legacyResourceId"]),
        "sku": line["sku"],
        "title": line["title"],
        "variant_title": line["variantTitle"],
        "vendor": line["vendor"],
        "is_gift_card": line["isGiftCard"],
        "requires_shipping": line["requiresShipping"],
        "is_taxable": line["taxable"],
        "quantity": line["quantity"],
        "current_quantity": line["currentQuantity"],
        "unit_price_amount": line["originalUnitPriceSet"]["shopMoney"]["amount"],
        "gross_amount": whole["amount"],
        "discount_amount": totals["discountAmount"],
        "tax_amount": totals["taxAmount"],
        "currency_code": whole["currencyCode"],
    }


def _add_refund(tables: dict[str, list[Row]], order_id: int, refund: Row) -> None:
    keys = {"order_id": order_id, "refund_id": int(refund["legacyResourceId"])}
    whole = refund["totalRefundedSet"]["shopMoney"]
    tables["refunds"].append(
        {
            **keys,
            "created_at": refund["createdAt"],
            "updated_at": refund["updatedAt"],
            "refunded_amount": whole["amount"],
            "shipping_amount": refund["charges"]["shippingAmount"],
            "shipping_tax_amount": refund["charges"]["shippingTaxAmount"],
            "duty_amount": refund["charges"]["dutyAmount"],
            "rounding_amount": refund["charges"]["roundingAmount"],
            "currency_code": whole["currencyCode"],
        }
    )
    for line in refund["refundLineItems"]["nodes"]:
        tables["refund_lines"].append(
            {
                **keys,
                "refund_line_id": _number(line["id"]),
                "order_line_id": _number(line["lineItem"]["id"]),
                "quantity": line["quantity"],
                "restock_type": line["restockType"],
                "subtotal_amount": line["subtotalSet"]["shopMoney"]["amount"],
                "tax_amount": line["totalTaxSet"]["shopMoney"]["amount"],
            }
        )
    for adjustment in refund["orderAdjustments"]["nodes"]:
        tables["refund_adjustments"].append(
            {
                **keys,
                "adjustment_id": _number(adjustment["id"]),
                "reason": adjustment["reason"],
                "amount": adjustment["amountSet"]["shopMoney"]["amount"],
                "tax_amount": adjustment["taxAmountSet"]["shopMoney"]["amount"],
            }
        )


def _add_agreement(tables: dict[str, list[Row]], order_id: int, agreement: Row) -> None:
    keys = {"order_id": order_id, "agreement_id": _number(agreement["id"])}
    refund = agreement.get("refund")
    tables["order_agreements"].append(
        {
            **keys,
            "happened_at": agreement["happenedAt"],
            "reason": agreement["reason"],
            "refund_id": int(refund["legacyResourceId"]) if refund else None,
        }
    )
    for sale in agreement["sales"]["nodes"]:
        line = sale.get("lineItem")
        tables["order_sales"].append(
            {
                **keys,
                "sale_id": _number(sale["id"]),
                "action_type": sale["actionType"],
                "line_type": sale["lineType"],
                "order_line_id": _number(line["id"]) if line else None,
                "quantity": sale["quantity"],
                "total_amount": sale["totalAmount"]["shopMoney"]["amount"],
                "tax_amount": sale["totalTaxAmount"]["shopMoney"]["amount"],
                "discount_amount": sale["totalDiscountAmountBeforeTaxes"]["shopMoney"]["amount"],
            }
        )


def _number(gid: str) -> int:
    return int(gid.rpartition("/")[2])


def _batches(folder: Path) -> Iterator[dict[str, list[Row]]]:
    pages = read_pages(folder)
    while batch := list(islice(pages, _BATCH_PAGES)):
        merged: dict[str, list[Row]] = {name: [] for name in _KEYS}
        for page in batch:
            for name, rows in flatten(page).items():
                merged[name].extend(rows)
        yield merged


def floor(url: str, folder: Path, _scratch: Path) -> Timed:
    """orjson, Python rows, COPY csv into ordinary typed tables without a key: no contract, no lake, no second run."""
    from benchmarks.paths import orders_contract
    from hotdash_pipelines.warehouse.loading.ddl import data_columns
    from hotdash_pipelines.warehouse.postgres import connect

    contract = orders_contract()
    columns = {table.name: data_columns(contract, table) for table in contract.tables}
    with connect(url) as conn:
        for name, wanted in columns.items():
            conn.execute(f"create table {name} ({', '.join(f'{c.name} {c.sql_type}' for c in wanted)})")  # pyright: ignore[reportArgumentType, reportCallIssue]

    def run() -> dict[str, float]:
        with connect(url) as conn, conn.cursor() as cursor:
            for batch in _batches(folder):
                for name, rows in batch.items():
                    text = io.StringIO()
                    for row in rows if name == "orders" else ():
                        row["tags"], row["discount_codes"] = _array(row["tags"]), _array(row["discount_codes"])
                    csv.writer(text).writerows(row.values() for row in rows)
                    with cursor.copy(f"copy {name} from stdin (format csv)") as copy:  # pyright: ignore[reportArgumentType, reportCallIssue]
                        copy.write(text.getvalue())
        return {}

    return run


def _array(values: list[str]) -> str:
    return "{" + ",".join(values) + "}"


def dlt_arrow(url: str, folder: Path, scratch: Path) -> Timed:
    """Arrow tables given to dlt, merged by key (what our path promises too), in the format that dlt chooses: CSV."""
    return _dlt_arrow(url, folder, scratch, None)


def dlt_arrow_adbc(url: str, folder: Path, scratch: Path) -> Timed:
    """The same with `loader_file_format="parquet"`, by which dlt loads over ADBC: the fastest that it can."""
    return _dlt_arrow(url, folder, scratch, "parquet")


def _dlt_arrow(url: str, folder: Path, scratch: Path, file_format: Literal["parquet"] | None) -> Timed:
    import dlt  # pyright: ignore[reportMissingImports] - a peer, not a dependency

    from benchmarks.paths import orders_contract
    from hotdash_pipelines.contracts.arrow import table_schema

    contract = orders_contract()
    schemas = {table.name: table_schema(contract, table) for table in contract.tables}

    @dlt.resource(name="orders_export")
    def export() -> Iterator[Any]:
        for batch in _batches(folder):
            for name, rows in batch.items():
                if rows:
                    hints = dlt.mark.make_hints(
                        table_name=name,
                        write_disposition="merge",
                        primary_key=_KEYS[name],
                    )
                    yield dlt.mark.with_hints(typed(rows, schemas[name]), hints, create_table_variant=True)

    return _pipeline(url, scratch, export, file_format)


def typed(rows: list[Row], schema: "pa.Schema") -> "pa.Table":
    """Rows -> Arrow, then money and time cast from text by Arrow, which is far faster than Python's Decimal.

    dlt's fast formats refuse lists and ask for JSON text in their place.
    """
    import pyarrow as pa

    as_sent, wanted = [], []
    for field in schema:
        if pa.types.is_list(field.type):
            for row in rows:
                row[field.name] = orjson.dumps(row[field.name]).decode()
            field = pa.field(field.name, pa.string(), field.nullable)
        is_text = pa.types.is_decimal(field.type) or pa.types.is_timestamp(field.type)
        as_sent.append(pa.field(field.name, pa.string()) if is_text else field)
        wanted.append(field)
    return pa.Table.from_pylist(rows, schema=pa.schema(as_sent)).cast(pa.schema(wanted))


def dlt_json(url: str, folder: Path, scratch: Path) -> Timed:
    """The nested records given to dlt as they are, merged by key; dlt makes tables of all nested lists by itself."""
    return _dlt_json(url, folder, scratch, "merge", drop_parts=False)


def dlt_json_lean(url: str, folder: Path, scratch: Path) -> Timed:
    """The least that dlt can be given so: appended, without the parts of a line whose sums `lineTotals` has."""
    return _dlt_json(url, folder, scratch, "append", drop_parts=True)


def _dlt_json(
    url: str, folder: Path, scratch: Path, disposition: Literal["merge", "append"], *, drop_parts: bool
) -> Timed:
    import dlt  # pyright: ignore[reportMissingImports] - a peer, not a dependency

    @dlt.resource(name="orders", write_disposition=disposition, primary_key="legacyResourceId")
    def orders() -> Iterator[Any]:
        for page in read_pages(folder):
            nodes = orjson.loads(page)["data"]["orders"]["nodes"]
            if drop_parts:
                for node in nodes:
                    for line in node["lineItems"]["nodes"]:
                        del line["discountAllocations"], line["taxLines"]
            yield nodes

    return _pipeline(url, scratch, orders)


def _pipeline(
    url: str, scratch: Path, resource: Callable[[], Any], file_format: Literal["parquet"] | None = None
) -> Timed:
    import dlt  # pyright: ignore[reportMissingImports] - a peer, not a dependency

    pipeline = dlt.pipeline(
        "orders", destination=dlt.destinations.postgres(url), dataset_name="peer", pipelines_dir=str(scratch / "dlt")
    )

    def run() -> dict[str, float]:
        stages = {}
        for name, step in (
            ("extract", lambda: pipeline.extract(resource(), loader_file_format=file_format)),
            ("normalize", pipeline.normalize),
            ("load", lambda: pipeline.load(raise_on_failed_jobs=True)),
        ):
            start = time.perf_counter()
            step()
            stages[name] = time.perf_counter() - start
        return stages

    return run
