"""The routes of proofs: the public keys for everybody, and redeeming for the backend of a client."""

import time
from collections.abc import Callable
from typing import Any

from flask import g, request

from otp import errors, request_record
from otp.proofs import ABOUT, Proofs
from otp.recipients import Recipient
from otp.web.request_body import Body, read_body

# A replica whose clock is behind accepts a proof for longer than the replica that redeemed it.
CLOCKS_APART = 60  # seconds


class RedeemProof(Body):
    """Body of POST /proofs/redeem."""

    proof: str


class ProofApi:
    """Issues proofs, and redeems each of them once.

    Args:
        redeem: takes a proof's id and the seconds to remember it; true for the first call with this id.
        audience: the audience of proofs for requests without an API key.
    """

    def __init__(self, proofs: Proofs, redeem: Callable[[str, float], bool], audience: str) -> None:
        self._proofs = proofs
        self._redeem = redeem
        self._default_audience = audience

    def new(self, identity: str, purpose: str, nonce: str) -> str:
        """A proof that a PIN for `identity`, with this purpose and this nonce or "", was verified now."""
        about = {"test": request_record.current().is_test, "purpose": purpose, "nonce": nonce}
        return self._proofs.sign(identity, self._audience(), {name: value for name, value in about.items() if value})

    def jwks(self) -> dict[str, Any]:
        """Answer GET /.well-known/jwks.json."""
        return self._proofs.key_set()

    def redeem(self) -> dict[str, Any]:
        """Answer POST /proofs/redeem: the content of a proof, once."""
        claims = self._proofs.check(read_body(request, RedeemProof).proof, self._audience())
        if not self._redeem(claims["jti"], claims["exp"] - time.time() + CLOCKS_APART):
            raise errors.ProofAlreadyRedeemed
        about = {name: claims[name] for name in ABOUT if name in claims}
        return {Recipient.at(claims["sub"]).member: claims["sub"], "verifiedAt": claims["iat"], **about}

    def _audience(self) -> str:
        """The audience of this request's proof: the client app, or without keys that of the settings."""
        return str(g.client) or self._default_audience
