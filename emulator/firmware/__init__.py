"""What a BIOS leaves in memory for the system that it boots."""
