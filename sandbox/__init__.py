"""Everything a newcomer lacks: a local Infobip 2FA, an inbox for its messages, an embedded Redis."""
