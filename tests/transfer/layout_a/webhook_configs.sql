CREATE TABLE webhook_configs ( id TEXT PRIMARY KEY, url TEXT NOT NULL, events_json TEXT NOT NULL, secret TEXT NOT NULL, active INTEGER NOT NULL DEFAULT 1, created_at REAL NOT NULL, updated_at REAL NOT NULL, name TEXT, description TEXT, last_delivery_at REAL, last_delivery_status INTEGER, delivery_count INTEGER DEFAULT 0, failure_count INTEGER DEFAULT 0, user_id TEXT, workspace_id TEXT );
CREATE INDEX idx_webhook_configs_user ON webhook_configs(user_id);
CREATE INDEX idx_webhook_configs_workspace ON webhook_configs(workspace_id);
CREATE INDEX idx_webhook_configs_active ON webhook_configs(active);
