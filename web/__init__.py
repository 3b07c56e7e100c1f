"""The HTTP border: what comes in, hostile until parsed, and how it is refused."""
