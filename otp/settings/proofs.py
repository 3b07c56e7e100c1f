"""Whether a verify returns a proof, and what is in it."""

from pydantic import Field, SecretStr, field_validator

from otp.proofs import read_old_keys, read_signing_key
from otp.setting_types import Secret
from otp.settings.section import Section


class ProofSettings(Section):
    """The keys of proofs, whom they are from and whom they are for. Without a signing key there are none."""

    proof_signing_key: Secret = Field(SecretStr(""), validate_default=False)
    proof_old_keys: Secret = Field(SecretStr(""), validate_default=False)
    proof_issuer: str = Field("infobip-otp", min_length=1)
    proof_audience: str = Field("backend", min_length=1)

    @field_validator("proof_signing_key")
    @classmethod
    def _signs(cls, key: SecretStr) -> SecretStr:
        read_signing_key(key.get_secret_value())
        return key

    @field_validator("proof_old_keys")
    @classmethod
    def _are_keys(cls, keys: SecretStr) -> SecretStr:
        read_old_keys(keys.get_secret_value())
        return keys
