"""The stand-in's Shopify fields, one module a part of the schema."""
