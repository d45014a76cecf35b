"""The words and rules of the desk: plain functions over plain data. No I/O, no clock, no Temporal."""
