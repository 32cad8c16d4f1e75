"""The report of a batch as one HTML page that needs nothing else: no script, no file, no address."""
