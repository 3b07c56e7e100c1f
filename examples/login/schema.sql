CREATE TABLE IF NOT EXISTS users (
  id INTEGER PRIMARY KEY,
  phone TEXT NOT NULL UNIQUE, -- E.164, as proofs have it
  epoch INTEGER NOT NULL DEFAULT 0, -- sessions of an earlier one have ended
  totp_secret TEXT, -- NULL: no authenticator app
  totp_step INTEGER NOT NULL DEFAULT 0, -- the 30 seconds that the newest used code was for: no older one counts
  salt BLOB NOT NULL -- of the backup codes
);

CREATE TABLE IF NOT EXISTS backup_codes (
  user_id INTEGER NOT NULL REFERENCES users,
  hash TEXT NOT NULL,
  PRIMARY KEY (user_id, hash)
);

-- Backup codes are for the app with which they were made.
CREATE TRIGGER IF NOT EXISTS another_app AFTER UPDATE OF totp_secret ON users BEGIN
  DELETE FROM backup_codes WHERE user_id = OLD.id;
END;

CREATE TABLE IF NOT EXISTS guesses (
  who TEXT NOT NULL,
  made_at REAL NOT NULL
);
