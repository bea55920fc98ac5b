"""A page of charts over what is published. Reads the published file, writes one HTML file that
opens with no network; shows counts, days, channels and reasons, and no customer's text."""
