"""Jobs of days, proven: simulated in minutes, and for real on servers whose limits are lowered."""
