CREATE TABLE _schema_versions ( module TEXT PRIMARY KEY, version INTEGER NOT NULL, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP );
CREATE TABLE traces ( trace_id TEXT PRIMARY KEY, debate_id TEXT, task TEXT, agents TEXT, random_seed INTEGER, started_at TEXT, completed_at TEXT, checksum TEXT, trace_json TEXT );
CREATE TABLE trace_events ( event_id TEXT PRIMARY KEY, trace_id TEXT, event_type TEXT, timestamp TEXT, round_num INTEGER, agent TEXT, content TEXT, FOREIGN KEY (trace_id) REFERENCES traces(trace_id) );
CREATE INDEX idx_trace_events_trace ON trace_events(trace_id);
INSERT INTO "_schema_versions" (module, version, updated_at) VALUES ('debate_tracer', 1, '2026-11-22 06:06:45');
INSERT INTO "traces" (trace_id, debate_id, task, agents, random_seed, started_at, completed_at, checksum, trace_json) VALUES ('trace-debate-374cc47e-e0d3-3d02-4285-a3e8267133ee', 'debate-374cc47e-e0d3-3d02-4285-a3e8267133ee', 'Harden a snapshot for quorum evidence should', '["claude-proposer", "claude-critic", "gpt-4-proposer"]', 7, '2026-11-22T06:06:45.035108', '2026-11-22T06:06:45.035248', '54838df86a6c1e09', '{
  "trace_id": "trace-debate-374cc47e-e0d3-3d02-4285-a3e8267133ee",
  "debate_id": "debate-374cc47e-e0d3-3d02-4285-a3e8267133ee",
  "task": "Harden a snapshot for quorum evidence should",
  "agents": [
    "claude-proposer",
    "claude-critic",
    "gpt-4-proposer"
  ],
  "random_seed": 7,
  "events": [
    {
      "event_id": "debate-374cc47e-e0d3-3d02-4285-a3e8267133ee-e0001",
      "event_type": "round_start",
      "timestamp": "2026-11-22T06:06:45.035163",
      "round_num": 1,
      "agent": null,
      "content": {
        "round": 1
      },
      "parent_event_id": null,
      "duration_ms": null,
      "metadata": {}
    },
    {
      "event_id": "debate-374cc47e-e0d3-3d02-4285-a3e8267133ee-e0002",
      "event_type": "agent_proposal",
      "timestamp": "2026-11-22T06:06:45.035212",
      "round_num": 1,
      "agent": "claude-proposer",
      "content": {
        "content": "risk index rollback retry latency p99 should auth lock cost",
        "confidence": 0.7
      },
      "parent_event_id": "debate-374cc47e-e0d3-3d02-4285-a3e8267133ee-e0001",
      "duration_ms": null,
      "metadata": {}
    },
    {
      "event_id": "debate-374cc47e-e0d3-3d02-4285-a3e8267133ee-e0003",
      "event_type": "agent_proposal",
      "timestamp": "2026-11-22T06:06:45.035222",
      "round_num": 1,
      "agent": "claude-critic",
      "content": {
        "content": "cache latency throughput token quorum latency p99 canary canary p99",
        "confidence": 0.7
      },
      "parent_event_id": "debate-374cc47e-e0d3-3d02-4285-a3e8267133ee-e0001",
      "duration_ms": null,
      "metadata": {}
    },
    {
      "event_id": "debate-374cc47e-e0d3-3d02-4285-a3e8267133ee-e0004",
      "event_type": "agent_proposal",
      "timestamp": "2026-11-22T06:06:45.035231",
      "round_num": 1,
      "agent": "gpt-4-proposer",
      "content": {
        "content": "proof p99 auth canary latency should cache lock proof retry",
        "confidence": 0.7
      },
      "parent_event_id": "debate-374cc47e-e0d3-3d02-4285-a3e8267133ee-e0001",
      "duration_ms": null,
      "metadata": {}
    },
    {
      "event_id": "debate-374cc47e-e0d3-3d02-4285-a3e8267133ee-e0005",
      "event_type": "round_end",
      "timestamp": "2026-11-22T06:06:45.035240",
      "round_num": 1,
      "agent": null,
      "content": {
        "round": 1
      },
      "parent_event_id": null,
      "duration_ms": null,
      "metadata": {}
    },
    {
      "event_id": "debate-374cc47e-e0d3-3d02-4285-a3e8267133ee-e0006",
      "event_type": "debate_end",
      "timestamp": "2026-11-22T06:06:45.035260",
      "round_num": 1,
      "agent": null,
      "content": {
        "result_summary": "{''final_answer'': ''retry cache latency cache cache''}"
      },
      "parent_event_id": null,
      "duration_ms": null,
      "metadata": {}
    }
  ],
  "started_at": "2026-11-22T06:06:45.035108",
  "completed_at": "2026-11-22T06:06:45.035248",
  "final_result": {
    "final_answer": "retry cache latency cache cache"
  },
  "metadata": {},
  "checksum": "54838df86a6c1e09"
}');
INSERT INTO "trace_events" (event_id, trace_id, event_type, timestamp, round_num, agent, content) VALUES ('debate-374cc47e-e0d3-3d02-4285-a3e8267133ee-e0001', 'trace-debate-374cc47e-e0d3-3d02-4285-a3e8267133ee', 'round_start', '2026-11-22T06:06:45.035163', 1, NULL, '{"round": 1}');
INSERT INTO "trace_events" (event_id, trace_id, event_type, timestamp, round_num, agent, content) VALUES ('debate-374cc47e-e0d3-3d02-4285-a3e8267133ee-e0002', 'trace-debate-374cc47e-e0d3-3d02-4285-a3e8267133ee', 'agent_proposal', '2026-11-22T06:06:45.035212', 1, 'claude-proposer', '{"content": "risk index rollback retry latency p99 should auth lock cost", "confidence": 0.7}');
INSERT INTO "trace_events" (event_id, trace_id, event_type, timestamp, round_num, agent, content) VALUES ('debate-374cc47e-e0d3-3d02-4285-a3e8267133ee-e0003', 'trace-debate-374cc47e-e0d3-3d02-4285-a3e8267133ee', 'agent_proposal', '2026-11-22T06:06:45.035222', 1, 'claude-critic', '{"content": "cache latency throughput token quorum latency p99 canary canary p99", "confidence": 0.7}');
