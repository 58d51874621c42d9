"""Order pages for the measurement: responses of the `orders` query as the Shopify client hands them on.

Belongs here: generating the pages once and reading them back. Does not belong here: what is done with them (paths.py).

The records carry every field that the query selects, the two lists of parts of a line and the client's `lineTotals`
included. The world is flat on purpose (numbers, not stories); hotdash_pipelines.demo has the believable one.
"""

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

DAY = datetime(2026, 3, 2, tzinfo=UTC)
PAGE_ORDERS = 250
_PAGES_A_FILE = 40
_FIRST_ORDER = 5_000_000_000
_FIRST_LINE = 12_000_000_000
_FIRST_REFUND = 900_000_000
# 1 to 6 lines, 2.3 on average.
_LINE_COUNTS = (1, 1, 1, 2, 2, 2, 2, 3, 3, 6)
_CITIES = (("Boston", "MA", "US"), ("Zürich", "ZH", "CH"), ("Austin", "TX", "US"), ("Malmö", "M", "SE"))
_VENDORS = ("Aster", "Birch & Co", "Cedar", "Dune")
_SOURCES = (("google", "cpc", "spring"), ("newsletter", "email", "march"), (None, None, None))
_NO_MORE = {"hasNextPage": False, "endCursor": None}


@dataclass(frozen=True)
class Totals:
    """What every path must land. Amounts are in cents; `sales` sums the orders' totals, `gross` the lines'."""

    orders: int = 0
    lines: int = 0
    refunds: int = 0
    sales: int = 0
    gross: int = 0

    def plus(self, order: dict[str, Any], sales: int, gross: int) -> "Totals":
        """These totals with one more order."""
        lines, refunds = len(order["lineItems"]["nodes"]), len(order["refunds"])
        return Totals(
            self.orders + 1, self.lines + lines, self.refunds + refunds, self.sales + sales, self.gross + gross
        )


def write_pages(folder: Path, orders: int, seed: int = 7) -> Totals:
    """Write the pages as JSON Lines, one response a line, unless the folder has them already; returns their totals."""
    done = folder / "totals.json"
    if done.exists():
        return Totals(**orjson.loads(done.read_bytes()))
    folder.mkdir(parents=True, exist_ok=True)
    totals, chance = Totals(), random.Random(seed)
    for start in range(0, orders, PAGE_ORDERS * _PAGES_A_FILE):
        with (folder / f"pages-{start:09d}.jsonl").open("wb") as file:
            for first in range(start, min(start + PAGE_ORDERS * _PAGES_A_FILE, orders), PAGE_ORDERS):
                nodes = []
                for number in range(first, min(first + PAGE_ORDERS, orders)):
                    order, sales, gross = _order(number, chance)
                    totals = totals.plus(order, sales, gross)
                    nodes.append(order)
                more = {"hasNextPage": first + PAGE_ORDERS < orders, "endCursor": f"cursor-{first}"}
                file.write(orjson.dumps({"data": {"orders": {"nodes": nodes, "pageInfo": more}}}) + b"\n")
    done.write_bytes(orjson.dumps(asdict(totals)))
    return totals


def read_pages(folder: Path) -> Iterator[bytes]:
    """The responses, in order."""
    for path in sorted(folder.glob("pages-*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                yield line.rstrip(b"\n")


def size_of(folder: Path) -> int:
    """Bytes of all pages."""
    return sum(path.stat().st_size for path in folder.glob("pages-*.jsonl"))


def _order(number: int, chance: random.Random) -> tuple[dict[str, Any], int, int]:
    """One order, its total and the gross of its lines, both in cents."""
    lines = [_line(number, position, chance) for position in range(chance.choice(_LINE_COUNTS))]
    gross = sum(line.gross for line in lines)
    discount = sum(line.discount for line in lines)
    tax = sum(line.tax for line in lines)
    shipping = chance.choice((0, 495, 995))
    total = gross - discount + tax + shipping
    moment = DAY + timedelta(microseconds=number * 431_000)
    is_refunded = chance.random() < 0.04
    refund = lines[0].gross - lines[0].discount + lines[0].tax if is_refunded else 0
    city, province, country = chance.choice(_CITIES)
    source, medium, campaign = chance.choice(_SOURCES)
    customer = chance.randrange(80_000)
    order = {
        "legacyResourceId": str(_FIRST_ORDER + number),
        "name": f"#{1001 + number}",
        "createdAt": _instant(moment - timedelta(hours=1)),
        "processedAt": _instant(moment - timedelta(hours=1)),
        "updatedAt": _instant(moment),
        "cancelledAt": None,
        "cancelReason": None,
        "closedAt": _instant(moment) if chance.random() < 0.5 else None,
        "test": False,
        "displayFinancialStatus": "PARTIALLY_REFUNDED" if is_refunded else "PAID",
        "displayFulfillmentStatus": chance.choice(("FULFILLED", "UNFULFILLED")),
        "currencyCode": "USD",
        "presentmentCurrencyCode": "USD",
        "taxesIncluded": False,
        "subtotalLineItemsQuantity": sum(line.quantity for line in lines),
        "email": f"customer{customer}@example.com",
        "sourceName": "web",
        "tags": ["vip"] if customer % 50 == 0 else [],
        "discountCodes": ["SPRING10"] if discount else [],
        "subtotalPriceSet": _money(gross - discount),
        "totalDiscountsSet": _money(discount),
        "totalTaxSet": _money(tax),
        "totalShippingPriceSet": _money(shipping),
        "totalTipReceivedSet": _money(0),
        "originalTotalDutiesSet": None,
        "originalTotalAdditionalFeesSet": None,
        "totalCashRoundingAdjustment": {"paymentSet": _money(0), "refundSet": _money(0)},
        "totalPriceSet": {**_money(total), "presentmentMoney": {"amount": _amount(total)}},
        "totalRefundedSet": _money(refund),
        "currentTotalPriceSet": _money(total - refund),
        "currentShippingPriceSet": _money(shipping),
        "customer": {"legacyResourceId": str(7_000_000_000 + customer)} if customer % 10 else None,
        "shippingAddress": {"city": city, "provinceCode": province, "countryCodeV2": country},
        "customerJourneySummary": {
            "customerOrderIndex": number % 7,
            "lastVisit": {
                "landingPage": f"https://shop.example.com/products/p{chance.randrange(400)}",
                "utmParameters": {"source": source, "medium": medium, "campaign": campaign},
            },
        },
        "lineItems": {"nodes": [line.node for line in lines], "pageInfo": _NO_MORE},
        "refunds": [_refund(number, moment, lines[0], refund)] if is_refunded else [],
        "agreements": {"nodes": _agreements(number, moment, lines, shipping, is_refunded), "pageInfo": _NO_MORE},
    }
    return order, total, gross


@dataclass(frozen=True)
class _Line:
    node: dict[str, Any]
    quantity: int
    gross: int
    discount: int
    tax: int


def _line(number: int, position: int, chance: random.Random) -> _Line:
    variant = chance.randrange(2_000)
    price, quantity = 500 + 7 * variant, chance.choice((1, 1, 1, 2, 3))
    gross = price * quantity
    discount = gross // 10 if chance.random() < 0.2 else 0
    tax = (gross - discount) * 8 // 100
    node = {
        "id": f"gid://shopify/LineItem/{_FIRST_LINE + number * 10 + position}",
        "sku": f"SKU-{variant:05d}",
        "title": f"Product {variant // 5}",
        "variantTitle": ("S", "M", "L", "XL", "Größe 46")[variant % 5],
        "vendor": _VENDORS[variant % 4],
        "isGiftCard": False,
        "requiresShipping": True,
        "taxable": True,
        "quantity": quantity,
        "currentQuantity": quantity,
        "product": {"legacyResourceId": str(8_000_000_000 + variant // 5)},
        "variant": {"legacyResourceId": str(44_000_000_000 + variant)},
        "originalUnitPriceSet": _money(price),
        "originalTotalSet": _money(gross, "USD"),
        "discountAllocations": [{"allocatedAmountSet": _money(discount)}] if discount else [],
        "taxLines": [{"priceSet": _money(tax)}],
        "lineTotals": {"discountAmount": _amount(discount), "taxAmount": _amount(tax)},
    }
    return _Line(node, quantity, gross, discount, tax)


def _refund(number: int, moment: datetime, line: _Line, amount: int) -> dict[str, Any]:
    taken_back = {
        "id": f"gid://shopify/RefundLineItem/{_FIRST_REFUND + number}",
        "quantity": line.quantity,
        "restockType": "RETURN",
        "lineItem": {"id": line.node["id"]},
        "subtotalSet": _money(line.gross - line.discount),
        "totalTaxSet": _money(line.tax),
    }
    adjustment = {
        "id": f"gid://shopify/OrderAdjustment/{_FIRST_REFUND + number}",
        "reason": "SHIPPING_REFUND",
        "amountSet": _money(-495),
        "taxAmountSet": _money(0),
    }
    return {
        "legacyResourceId": str(_FIRST_REFUND + number),
        "createdAt": _instant(moment),
        "updatedAt": _instant(moment),
        "totalRefundedSet": _money(amount, "USD"),
        "charges": {"shippingAmount": "0", "shippingTaxAmount": "0", "dutyAmount": "0", "roundingAmount": "0"},
        "refundLineItems": {"nodes": [taken_back], "pageInfo": _NO_MORE},
        "orderAdjustments": {"nodes": [adjustment] if number % 3 == 0 else [], "pageInfo": _NO_MORE},
    }


def _agreements(
    number: int, moment: datetime, lines: list[_Line], shipping: int, is_refunded: bool
) -> list[dict[str, Any]]:
    first = (_FIRST_ORDER + number) * 100
    sold = [_sale(first + place, line, 1) for place, line in enumerate(lines)]
    if shipping:
        nothing = {"actionType": "ORDER", "lineType": "SHIPPING", "quantity": None}
        money = {"totalTaxAmount": _money(0), "totalDiscountAmountBeforeTaxes": _money(0)}
        sold.append(
            {"id": f"gid://shopify/ShippingLineSale/{first + 50}", **nothing, "totalAmount": _money(shipping), **money}
        )
    agreements = [_agreement(first, moment - timedelta(hours=1), "ORDER", sold)]
    if is_refunded:
        back = _agreement(first + 1, moment, "REFUND", [_sale(first + 60, lines[0], -1)])
        agreements.append({**back, "refund": {"legacyResourceId": str(_FIRST_REFUND + number)}})
    return agreements


def _agreement(number: int, moment: datetime, reason: str, sales: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/SalesAgreement/{number}",
        "happenedAt": _instant(moment),
        "reason": reason,
        "sales": {"nodes": sales, "pageInfo": _NO_MORE},
    }


def _sale(number: int, line: _Line, sign: int) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/ProductSale/{number}",
        "actionType": "ORDER" if sign > 0 else "RETURN",
        "lineType": "PRODUCT",
        "quantity": sign * line.quantity,
        "totalAmount": _money(sign * (line.gross - line.discount + line.tax)),
        "totalTaxAmount": _money(sign * line.tax),
        "totalDiscountAmountBeforeTaxes": _money(sign * line.discount),
        "lineItem": {"id": line.node["id"]},
    }


def _amount(cents: int) -> str:
    sign, cents = "-" if cents < 0 else "", abs(cents)
    return f"{sign}{cents // 100}.{cents % 100:02d}"


def _money(cents: int, currency: str | None = None) -> dict[str, Any]:
    money = {"amount": _amount(cents)}
    return {"shopMoney": {**money, "currencyCode": currency} if currency else money}


def _instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
