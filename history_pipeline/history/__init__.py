"""From a list of contacts and days to answers that are all accounted for."""
