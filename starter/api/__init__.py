"""The HTTP API: it reads only records, and writes only through Temporal."""
