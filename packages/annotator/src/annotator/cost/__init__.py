"""Money: what answers cost."""
