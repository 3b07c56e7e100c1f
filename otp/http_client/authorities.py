"""The certificate authorities that are trusted."""

import re
import ssl
from pathlib import Path

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class Authorities:
    """The certificates in a file, read once: `pem` is their text, `path` is the file."""

    __slots__ = ("path", "pem")

    def __init__(self, path: str) -> None:
        """Read the file.

        Raises:
            ValueError: the file cannot be read, or has no certificates in PEM.
        """
        self.path = path
        try:
            found = _CERTIFICATE.findall(Path(path).read_text(encoding="latin-1"))  # there may be text between them
            self.pem = "\n".join(found)
            if found:
                ssl.create_default_context(cadata=self.pem)
                return
        except (OSError, ValueError) as e:  # ssl.SSLError is an OSError
            raise ValueError("must be a file of certificates in PEM that can be read") from e
        raise ValueError("must be a file of certificates in PEM that can be read")

    def __str__(self) -> str:
        return self.path
