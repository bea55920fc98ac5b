"""The Bayeux protocol as a client speaks it: pure, without I/O, clocks or tasks.

Source: CometD 3 reference manual, chapters on the Bayeux protocol and the
acknowledge extension.
"""
