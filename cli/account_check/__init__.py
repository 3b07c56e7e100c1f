"""`flask infobip check`: what the account at Infobip is like, held against the settings. It changes nothing."""
