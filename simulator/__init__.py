"""A Microsoft cloud small enough for one process: Entra ID and Partner Center, with their traps.

It imports nothing of claimdesk, so it can't share claimdesk's mistakes. What a person would do at the portal, and what
Microsoft would do behind it, goes through the side door at `/_simulator`. Start it with `python -m simulator`.
"""
