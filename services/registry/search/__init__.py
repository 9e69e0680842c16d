"""How versions are found and compared: rows of measurements, queries of lists."""
