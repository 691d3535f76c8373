"""Anomaly detection on rows of sensor readings: one small network, trained where the rows are."""
