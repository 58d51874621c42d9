"""Signing in as a service account: the key, the JWT-bearer grant, and what an access token is worth.

Belongs here: keys, assertions and tokens. Does not belong here: reports. An assertion's times are checked against the
machine's clock, because the client takes them from there; an access token ages with the virtual clock.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.demo.world import World

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPES = (
    "https://www.googleapis.com/auth/analytics.readonly",
    "https://www.googleapis.com/auth/analytics",
)
# google-auth names this audience whatever the key file's token_uri says.
TOKEN_AUDIENCE = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, not a secret
API_AUDIENCE = "https://analyticsdata.googleapis.com/"
TOKEN_LIFETIME_S = 3_599
_MAX_ASSERTION_S = 3_600
_CLOCK_SKEW_S = 300


def make_service_account(url: str, project: str = "hotdash-demo") -> dict[str, str]:
    """A service-account key file as Google issues it, with a fresh 2048-bit key and the stand-in's token endpoint.

    `url` is the stand-in's base address. Making the key takes about a tenth of a second.
    """
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    email = f"pipeline@{project}.iam.gserviceaccount.com"
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": hashlib.sha256(pem.encode()).hexdigest()[:40],
        "private_key": pem,
        "client_email": email,
        "client_id": "100000000000000000001",
        "auth_uri": f"{url}/oauth2/auth",
        "token_uri": f"{url}/oauth2/token",
        "universe_domain": "googleapis.com",
    }


class InvalidGrant(ValueError):
    """The token request is refused; the arguments are Google's error code and description."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(slots=True)
class Tokens:
    """The access tokens given out, each with the virtual instant (epoch seconds) it expires at."""

    world: World
    _expiry: dict[str, float] = field(default_factory=dict)
    _served: set[str] = field(default_factory=set)
    _given: int = 0
    _public_key: RSAPublicKey | None = None

    def exchange(self, grant_type: str, assertion: str) -> dict[str, Any]:
        """The token endpoint's answer to an assertion. Raises InvalidGrant."""
        if grant_type != GRANT_TYPE:
            raise InvalidGrant("unsupported_grant_type", f"Invalid grant_type: {grant_type}")
        claims = self._verified(assertion)
        if claims.get("aud") not in (self._account["token_uri"], TOKEN_AUDIENCE):
            raise InvalidGrant("invalid_grant", "Invalid JWT: Failed audience check.")
        if not set(str(claims.get("scope", "")).split()).intersection(SCOPES):
            raise InvalidGrant("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        digest = hashlib.sha256(f"{assertion}{self._given}".encode()).hexdigest()
        self._given += 1
        token = f"ya29.demo-{digest[:48]}"
        self._expiry[token] = self._now() + TOKEN_LIFETIME_S
        return {"access_token": token, "expires_in": TOKEN_LIFETIME_S, "token_type": "Bearer"}

    def accepts(self, bearer: str) -> bool:
        """True for a token that has not expired, or for a JWT the service account signed itself for this API."""
        if bearer.count(".") == 2:
            try:
                claims = self._verified(bearer)
            except InvalidGrant:
                return False
            scoped = set(str(claims.get("scope", "")).split()).intersection(SCOPES)
            return bool(scoped) or claims.get("aud") == API_AUDIENCE
        return self._expiry.get(bearer, 0.0) > self._now()

    def serve(self, bearer: str) -> None:
        """Note that a report came with this token."""
        self._served.add(bearer)

    def has_served(self, bearer: str) -> bool:
        """Whether a report came with this token before."""
        return bearer in self._served

    def forget(self, bearer: str) -> None:
        """Have the token expire now."""
        self._expiry.pop(bearer, None)

    @property
    def _account(self) -> dict[str, str]:
        return self.world.credentials["ga4_service_account"]

    def _now(self) -> float:
        return self.world.clock.now().timestamp()

    def _verified(self, jwt: str) -> dict[str, Any]:
        """The claims of a JWT that the demo's service account signed, and that is not out of date."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        try:
            head, payload, signature = jwt.split(".")
            header, claims = json.loads(_decoded(head)), json.loads(_decoded(payload))
            signed = _decoded(signature)
        except ValueError:
            raise InvalidGrant("invalid_grant", "Bad Request") from None
        if header.get("alg") != "RS256" or claims.get("iss") != self._account["client_email"]:
            raise InvalidGrant("invalid_grant", "Invalid JWT Signature.")
        try:
            self._key().verify(signed, f"{head}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise InvalidGrant("invalid_grant", "Invalid JWT Signature.") from None
        issued, expires, now = claims.get("iat", 0), claims.get("exp", 0), time.time()
        if not (issued - _CLOCK_SKEW_S <= now < expires and expires - issued <= _MAX_ASSERTION_S):
            raise InvalidGrant(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim.",
            )
        return claims

    def _key(self) -> RSAPublicKey:
        if self._public_key is None:
            from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
            from cryptography.hazmat.primitives.serialization import load_pem_private_key

            private = load_pem_private_key(self._account["private_key"].encode(), password=None)
            if not isinstance(private, RSAPrivateKey):
                raise ValueError("the demo's service account must have an RSA key")
            self._public_key = private.public_key()
        return self._public_key


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
