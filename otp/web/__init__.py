"""The HTTP border: bodies, API keys, limits by address, idempotency, views, error responses."""
