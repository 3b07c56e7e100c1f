"""A local Infobip 2FA with an inbox for its messages, and an embedded Redis."""
