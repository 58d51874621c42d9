"""Derive the stand-in's Shopify schema from Shopify's published introspection.

Usage: python scripts/derive_shopify_sdl.py admin_2026-10.json.gz [--check]

The file is `dist/data/admin_2026-10.json.gz` of the npm package `@shopify/dev-mcp` (ISC licence). What is kept is
listed in KEEP below; types, nullability, arguments, defaults and deprecations are copied, never typed by hand.
Belongs here: choosing and copying. Does not belong here: any behaviour of the stand-in.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "hotdash_pipelines/demo/shopify/admin_2026_10.graphql"
DIGEST = TARGET.with_suffix(".digest.json")

_SALE = (
    "actionType id lineType quantity totalAmount totalDiscountAmountAfterTaxes totalDiscountAmountBeforeTaxes "
    "totalTaxAmount"
)
# Type -> fields kept. Connections and edges, enums and scalars these need follow of themselves.
KEEP: dict[str, str] = {
    "QueryRoot": "currentAppInstallation customer customers customersCount events eventsCount order orders ordersCount "
    "product products productsCount productVariant productVariants productVariantsCount refund shop",
    "AppInstallation": "accessScopes id",
    "AccessScope": "description handle",
    "Event": "action createdAt id",
    "BasicEvent": "action createdAt id subjectId subjectType",
    "Order": "additionalFees agreements attribution billingAddress cancelReason cancelledAt closed closedAt "
    "confirmationNumber confirmed createdAt currencyCode currentShippingPriceSet currentSubtotalLineItemsQuantity "
    "currentSubtotalPriceSet currentTotalAdditionalFeesSet currentTotalDiscountsSet currentTotalDutiesSet "
    "currentTotalPriceSet currentTotalTaxSet customer "
    "customerJourneySummary customerLocale discountApplications discountCode discountCodes "
    "displayFinancialStatus displayFulfillmentStatus edited email fullyPaid id legacyResourceId lineItems "
    "name netPaymentSet note number originalTotalAdditionalFeesSet originalTotalDutiesSet originalTotalPriceSet "
    "paymentGatewayNames phone "
    "presentmentCurrencyCode processedAt refundDiscrepancySet refunds requiresShipping shippingAddress "
    "shippingLine shippingLines sourceName subtotalLineItemsQuantity subtotalPriceSet tags taxLines "
    "taxesIncluded test totalCashRoundingAdjustment totalDiscountsSet totalOutstandingSet totalPriceSet "
    "totalReceivedSet totalRefundedSet totalRefundedShippingSet totalShippingPriceSet totalTaxSet "
    "totalTipReceivedSet transactions unpaid updatedAt",
    "LineItem": "currentQuantity customAttributes discountAllocations discountedTotalSet "
    "discountedUnitPriceAfterAllDiscountsSet discountedUnitPriceSet id isGiftCard name originalTotalSet "
    "originalUnitPriceSet priceAfterAllDiscountsBeforeTaxesSet product quantity refundableQuantity requiresShipping "
    "sku taxLines taxable title totalDiscountSet unfulfilledQuantity variant variantTitle vendor",
    "Attribute": "key value",
    "TaxLine": "channelLiable priceSet rate ratePercentage source title",
    "DiscountAllocation": "allocatedAmountSet discountApplication",
    "DiscountApplication": "allocationMethod index targetSelection targetType value",
    "AutomaticDiscountApplication": "allocationMethod index targetSelection targetType title value",
    "ManualDiscountApplication": "allocationMethod description index targetSelection targetType title value",
    "DiscountCodeApplication": "allocationMethod code index targetSelection targetType value",
    "PricingPercentageValue": "percentage",
    "PricingValue": "",
    "Refund": "createdAt duties id legacyResourceId note orderAdjustments processedAt refundLineItems "
    "refundShippingLines totalRefundedSet transactions updatedAt",
    "RefundDuty": "amountSet",
    "CashRoundingAdjustment": "paymentSet refundSet",
    "RefundLineItem": "id lineItem priceSet quantity restockType restocked subtotalSet totalTaxSet",
    "RefundShippingLine": "id shippingLine subtotalAmountSet taxAmountSet",
    "OrderAdjustment": "amountSet id reason taxAmountSet",
    "OrderTransaction": "amountRoundingSet amountSet createdAt gateway id kind processedAt status test",
    "AdditionalFee": "id name price taxLines",
    **dict.fromkeys(
        ("SalesAgreement", "OrderAgreement", "OrderEditAgreement", "ReturnAgreement"), "happenedAt id reason sales"
    ),
    "RefundAgreement": "happenedAt id reason refund sales",
    **dict.fromkeys(("Sale", "AdditionalFeeSale", "AdjustmentSale", "DutySale", "FeeSale", "UnknownSale"), _SALE),
    **dict.fromkeys(("ProductSale", "GiftCardSale", "TipSale"), f"{_SALE} lineItem"),
    "ShippingLineSale": f"{_SALE} shippingLine",
    "ShippingLine": "carrierIdentifier code discountedPriceSet id isRemoved originalPriceSet source taxLines title",
    "OrderAttribution": "displayName handle",
    "CustomerJourneySummary": "customerOrderIndex daysToConversion firstVisit lastVisit ready",
    "CustomerVisit": "id landingPage occurredAt referrerUrl source sourceType utmParameters",
    "UTMParameters": "campaign content medium source term",
    "MailingAddress": "address1 address2 city company country countryCodeV2 firstName id lastName name phone province "
    "provinceCode zip",
    "Customer": "amountSpent createdAt defaultAddress defaultEmailAddress defaultPhoneNumber displayName email "
    "firstName id lastName legacyResourceId locale note numberOfOrders phone state tags taxExempt updatedAt "
    "verifiedEmail",
    "CustomerEmailAddress": "emailAddress marketingOptInLevel marketingState marketingUpdatedAt validFormat",
    "CustomerPhoneNumber": "marketingState phoneNumber",
    "Product": "createdAt description handle hasOnlyDefaultVariant id isGiftCard legacyResourceId productType "
    "publishedAt status tags title totalInventory tracksInventory updatedAt variants variantsCount vendor",
    "ProductVariant": "availableForSale barcode compareAtPrice createdAt displayName id inventoryItem inventoryPolicy "
    "inventoryQuantity legacyResourceId position price product selectedOptions sku taxable title updatedAt",
    "SelectedOption": "name value",
    "InventoryItem": "createdAt id legacyResourceId requiresShipping sku tracked unitCost updatedAt",
    "MoneyBag": "presentmentMoney shopMoney",
    "MoneyV2": "amount currencyCode",
    "PageInfo": "endCursor hasNextPage hasPreviousPage startCursor",
    "Count": "count precision",
    "Shop": "contactEmail createdAt currencyCode email enabledPresentmentCurrencies ianaTimezone id "
    "myshopifyDomain name plan taxesIncluded timezoneAbbreviation timezoneOffset timezoneOffsetMinutes updatedAt url",
    "ShopPlan": "partnerDevelopment publicDisplayName shopifyPlus",
}
BUILT_IN = {"String", "Int", "Float", "Boolean", "ID"}


def load_types(path: Path) -> dict[str, dict[str, Any]]:
    """The introspection's types by name, from a .json or .json.gz file."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    document = json.loads(raw)
    schema = document.get("data", document)["__schema"]
    return {entry["name"]: entry for entry in schema["types"]}


def derive(types: dict[str, dict[str, Any]]) -> str:
    """The SDL of what KEEP names. Raises KeyError if Shopify has no such type or field."""
    wanted = dict(KEEP)
    queue = list(wanted)
    done: dict[str, str] = {}
    while queue:
        name = queue.pop()
        if name in done or name in BUILT_IN:
            continue
        entry = types[name]
        done[name], needed = _print_type(entry, wanted)
        queue += needed
    header = "schema {\n  query: QueryRoot\n}"
    return "\n\n".join([header, *(done[name] for name in sorted(done))]) + "\n"


def digests(sdl: str) -> dict[str, str]:
    """SHA-256 of each definition of the SDL, by its first line's name."""
    blocks = [block for block in sdl.strip().split("\n\n") if not block.startswith("schema")]
    return {
        block.split("{")[0].split("=")[0].split()[1]: hashlib.sha256(block.encode()).hexdigest() for block in blocks
    }


def _print_type(entry: dict[str, Any], wanted: dict[str, str]) -> tuple[str, list[str]]:
    name, kind = entry["name"], entry["kind"]
    if kind == "SCALAR":
        return f"scalar {name}", []
    if kind == "ENUM":
        values = "\n".join(f"  {value['name']}{_deprecation(value)}" for value in entry["enumValues"])
        return f"enum {name} {{\n{values}\n}}", []
    if kind == "UNION":
        members = sorted(member["name"] for member in entry["possibleTypes"] if member["name"] in wanted)
        return f"union {name} = {' | '.join(members)}", members
    if kind not in ("OBJECT", "INTERFACE"):
        raise ValueError(f"{name}: a {kind} cannot be kept")
    if name.endswith(("Connection", "Edge")) and name not in wanted:
        kept = [field for field in entry["fields"] if field["name"] in ("nodes", "edges", "pageInfo", "cursor", "node")]
    elif name in wanted:
        chosen = wanted[name].split()
        by_name = {field["name"]: field for field in entry["fields"]}
        if missing := [field for field in chosen if field not in by_name]:
            raise KeyError(f"{name} has no {', '.join(missing)}")
        kept = [by_name[field] for field in chosen]
    else:
        raise KeyError(f"{name} is needed by a kept field but KEEP does not list it")
    needed = [_named(field["type"]) for field in kept]
    lines = []
    for field in kept:
        arguments = [arg for arg in field["args"] if _is_leaf(arg["type"])]
        needed += [_named(arg["type"]) for arg in arguments]
        shown = ", ".join(_print_argument(arg) for arg in arguments)
        lines.append(
            f"  {field['name']}{f'({shown})' if shown else ''}: {_reference(field['type'])}{_deprecation(field)}"
        )
    interfaces = sorted(i["name"] for i in entry.get("interfaces") or [] if i["name"] in wanted)
    implements = f" implements {' & '.join(interfaces)}" if interfaces else ""
    word = "type" if kind == "OBJECT" else "interface"
    return f"{word} {name}{implements} {{\n" + "\n".join(lines) + "\n}", needed


def _print_argument(argument: dict[str, Any]) -> str:
    default = f" = {argument['defaultValue']}" if argument["defaultValue"] is not None else ""
    return f"{argument['name']}: {_reference(argument['type'])}{default}"


def _deprecation(entry: dict[str, Any]) -> str:
    return f" @deprecated(reason: {json.dumps(entry['deprecationReason'])})" if entry.get("isDeprecated") else ""


def _reference(node: dict[str, Any]) -> str:
    if node["kind"] == "NON_NULL":
        return _reference(node["ofType"]) + "!"
    if node["kind"] == "LIST":
        return f"[{_reference(node['ofType'])}]"
    return node["name"]


def _base(node: dict[str, Any]) -> dict[str, Any]:
    while node.get("ofType"):
        node = node["ofType"]
    return node


def _named(node: dict[str, Any]) -> str:
    return _base(node)["name"]


def _is_leaf(node: dict[str, Any]) -> bool:
    return _base(node)["kind"] in ("SCALAR", "ENUM")


def main() -> int:
    """Write the SDL and its digests; with --check, only compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("introspection", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if the committed SDL differs")
    options = parser.parse_args()
    sdl = derive(load_types(options.introspection))
    if options.check:
        same = TARGET.read_text(encoding="utf-8") == sdl
        print("the committed SDL is what the introspection gives" if same else "the committed SDL differs")
        return 0 if same else 1
    TARGET.write_text(sdl, encoding="utf-8")
    source = {
        "source": "@shopify/dev-mcp dist/data/" + options.introspection.name,
        "source_sha256": hashlib.sha256(options.introspection.read_bytes()).hexdigest(),
        "types": digests(sdl),
    }
    DIGEST.write_text(json.dumps(source, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {len(source['types'])} types, {len(sdl)} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
