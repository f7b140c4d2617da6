"""Flow telemetry: IPFIX, NetFlow 5 and 9, sFlow 5. Messages to records; no file, socket or clock."""
