"""The keys of proofs are given by settings, named by their thumbprints and made by a command."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.utils import base64url_decode

from cli.proof import proof as command
from config import Settings, SettingsError, load_settings
from otp.proofs import Proofs, read_signing_key
from tests.support.running import ACCOUNT, ROOT
from tests.support.signing import KEY, OLD, OLDER, SETTINGS, key_id, public_pem


def test_the_name_of_a_key_is_its_thumbprint() -> None:
    """The key is the example of RFC 8037, appendix A.3."""
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    key = Ed25519PublicKey.from_public_bytes(base64url_decode(x))
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert Proofs(KEY, pem, "").key_set()["keys"][1] == {
        "crv": "Ed25519",
        "kty": "OKP",
        "x": x,
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "use": "sig",
        "alg": "EdDSA",
    }


def rsa() -> str:
    key = generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def load(**given: str) -> Settings:
    return load_settings({"INFOBIP_BASE_URL": "https://127.0.0.1:1", "REDIS_URL": "redis://x", **ACCOUNT, **given})


@pytest.mark.parametrize("name", ["PROOF_SIGNING_KEY", "PROOF_OLD_KEYS"])
def test_an_invalid_key_is_refused_and_not_shown(name: str) -> None:
    cut = KEY.replace("MC4CAQAwBQYDK2Vw", "")
    for bad in ("the-secret-key", cut, rsa(), public_pem(KEY) if name == "PROOF_SIGNING_KEY" else KEY + "the-secret"):
        with pytest.raises(SettingsError, match=f"(?m)^  {name}: (must be|has)") as raised:
            load(**{name: bad})
        assert all(line not in str(raised.value) for line in bad.splitlines())


def test_old_keys_of_another_kind_are_refused() -> None:
    other = generate_private_key(65537, 2048).public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(SettingsError, match="PROOF_OLD_KEYS: must be Ed25519 keys"):
        load(PROOF_OLD_KEYS=pem)
    with pytest.raises(SettingsError, match="PROOF_OLD_KEYS: has a public key that cannot be read"):
        load(PROOF_OLD_KEYS="-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----")


def test_a_key_may_be_a_file_or_one_line(tmp_path: Path) -> None:
    key, old, empty = tmp_path / "key.pem", tmp_path / "old.pem", tmp_path / "empty.pem"
    key.write_text(KEY)
    old.write_text(SETTINGS["PROOF_OLD_KEYS"])
    from_files = load(PROOF_SIGNING_KEY_FILE=str(key), PROOF_OLD_KEYS_FILE=str(old))
    empty.write_text("")
    with pytest.raises(SettingsError, match="PROOF_SIGNING_KEY: "):
        load(PROOF_SIGNING_KEY_FILE=str(empty))
    one_line = {name: SETTINGS[name].replace("\n", "\\n") for name in ("PROOF_SIGNING_KEY", "PROOF_OLD_KEYS")}
    from_lines = load(**one_line)
    key_sets = [
        Proofs(each.proof_signing_key.get_secret_value(), each.proof_old_keys.get_secret_value(), "").key_set()
        for each in (from_files, from_lines)
    ]
    assert key_sets[0] == key_sets[1]
    assert [key["kid"] for key in key_sets[0]["keys"]] == [key_id(each) for each in (KEY, OLD, OLDER)]


def test_the_command_makes_a_key_and_says_how_to_set_it() -> None:
    made = [CliRunner().invoke(command, "new-key") for _ in range(2)]
    assert made[0].stdout != made[1].stdout
    assert isinstance(read_signing_key(made[0].stdout), Ed25519PrivateKey)
    assert load(PROOF_SIGNING_KEY=made[0].stdout).proof_signing_key.get_secret_value() == made[0].stdout
    assert all(name in made[0].stderr for name in ("PROOF_SIGNING_KEY_FILE=", "PROOF_SIGNING_KEY ", "PROOF_OLD_KEYS"))
    flask = [sys.executable, "-m", "flask", "--app", "cli", "proof", "new-key"]
    alone = subprocess.run(flask, cwd=ROOT, capture_output=True, text=True, check=True)
    assert isinstance(read_signing_key(alone.stdout), Ed25519PrivateKey)
