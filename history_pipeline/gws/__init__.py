"""A Genesys Web Services server as this pipeline sees it: what is sent, what comes back, and
which answer belongs to which question."""
