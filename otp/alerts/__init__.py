"""What the operator should hear of: told in the background, each kind at most once in ten minutes. No Flask in here."""
