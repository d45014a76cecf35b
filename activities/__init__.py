"""Side effects, one class for one outside thing, each with its clients handed in. Every method is an activity.

Importing this package does no I/O: workflow code imports it through the sandbox for the names and the arguments.
"""
