"""Half an hour of bad weather in one process: memory, sockets and tasks stay where they are."""
