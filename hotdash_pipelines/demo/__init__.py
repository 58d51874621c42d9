"""The stand-in store: one loopback HTTP server that speaks Shopify, Chatwoot, GA4 and Slack.

Belongs here: a deterministic world (seed, scale, virtual clock), the four API faces over it, and the control plane.
Does not belong here: anything the real pipeline uses. The pipeline's clients reach this package over HTTP only, and
it imports none of their rooms.
"""
