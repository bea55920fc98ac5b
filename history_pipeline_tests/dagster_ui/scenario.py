"""What the UI's site is asked for: five days of ten contacts, in two windows."""

from datetime import date

from history_pipeline_tests.end_to_end.running import Span

CONTACTS = 10
SPAN = Span(date(2026, 10, 1), date(2026, 10, 6), contacts=CONTACTS)
DAYS = [f"2026-10-0{n}" for n in range(1, 6)]
WINDOWS = [DAYS[:3], DAYS[3:]]
