"""What operators run: backup and restore, doctor, health checks and their server, telemetry."""
