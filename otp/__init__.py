"""The service. `VERSION` is what `/readyz`, the log, the metrics and pyproject.toml say."""

VERSION = "0.1.0"
USER_AGENT = "infobip-otp"  # of its requests to others
