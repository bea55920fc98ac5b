"""Seeded histories of a bad day: client, collector, server and network in one process, on virtual
time. A history that ends wrong is played again by its number, and shrunk to its cause."""
