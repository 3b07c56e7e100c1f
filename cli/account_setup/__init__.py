"""`flask infobip setup`: makes in the account what the settings need, once the operator agrees."""
