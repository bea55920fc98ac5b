"""What a server does where the API's documentation is silent: asked for politely, and judged.

`interview` asks and `asking` sends; all the other modules are pure: verdicts from what was seen.
"""
