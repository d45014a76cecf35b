"""The processes that people start: the API, the command line, and what they share. They wire things together."""
