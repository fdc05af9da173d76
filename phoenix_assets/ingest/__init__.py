"""Deliveries become documents: verify a delivery's files, read every format, quarantine what cannot be read."""
