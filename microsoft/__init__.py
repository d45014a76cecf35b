"""Clients of the Microsoft APIs a CSP partner's credit claims and reservations need, over httpx."""
