"""How a delivery is signed, both those that come and those that go: HMAC-SHA256 over "id.timestamp.body".

The scheme of Standard Webhooks (standardwebhooks.com), as MLflow 3.17 signs with a plain secret.
"""

import base64
import hashlib
import hmac


def signature_of(secret: bytes, delivery: str, stamp: str, body: bytes) -> str:
    """Return the signature header of a delivery: v1, a comma, and the digest in base64.

    Args:
        secret: known to both sides.
        delivery: its id.
        stamp: seconds since 1970, as the header says them.
        body: as it goes over the wire.
    """
    digest = hmac.new(secret, f"{delivery}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
