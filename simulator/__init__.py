"""A Microsoft cloud small enough for one process: Entra ID, Partner Center, Graph and Azure, with their traps.

It imports nothing of claimdesk, so it can't share claimdesk's mistakes. What a person would do at the portal, and what
Microsoft would do behind it, goes through the side door at `/_simulator`. Start it with `python -m simulator`.
"""
