"""`flask infobip check`: compares the account at Infobip with the settings. It changes nothing."""
