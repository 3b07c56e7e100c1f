"""Infobip behind the client: one request within a deadline, what comes back, and the account."""
