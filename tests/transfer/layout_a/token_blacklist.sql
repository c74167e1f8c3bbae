CREATE TABLE token_blacklist ( jti TEXT PRIMARY KEY, expires_at REAL NOT NULL, revoked_at REAL NOT NULL );
CREATE INDEX idx_blacklist_expires ON token_blacklist(expires_at);
INSERT INTO "token_blacklist" (jti, expires_at, revoked_at) VALUES ('jti-0', 1795361143.2923038, 1795327605.0287814);
INSERT INTO "token_blacklist" (jti, expires_at, revoked_at) VALUES ('jti-1', 1795353570.183531, 1795327605.029668);
INSERT INTO "token_blacklist" (jti, expires_at, revoked_at) VALUES ('jti-2', 1795407746.611943, 1795327605.0297132);
