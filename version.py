"""The version of the service. pyproject.toml, `/readyz`, the log and the metrics read it here."""

VERSION = "0.1.0"
