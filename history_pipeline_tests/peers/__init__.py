"""The client against servers that others wrote: the CometD project's own and faye.

Our simulator could share a misreading with our client; these cannot. They need node and npm.
"""
