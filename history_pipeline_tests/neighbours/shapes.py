"""The servers that are tried: few and many workers, three kinds of service, changes on the way."""

from __future__ import annotations

from history_pipeline_tests.neighbours.playing import Shape, alike, heavy, various

SHAPES = (
    Shape("6 workers, alike", 6, 0.5, alike),
    Shape("6 workers, various", 6, 0.5, various),
    Shape("8 workers, alike", 8, 1.0, alike),
    Shape("8 workers, various", 8, 1.0, various),
    Shape("8 workers, heavy tail", 8, 1.0, heavy),
    Shape("16 workers, alike", 16, 2.0, alike),
    Shape("16 workers, halved", 16, 2.0, alike, changed=(8, 0.3)),
    Shape("8 workers, twice as slow", 8, 1.0, alike, changed=(8, 0.6)),
    Shape("7 workers, heavy tail", 7, 0.7, heavy, 0.5),
    Shape("10 workers, various", 10, 1.5, various),
    Shape("12 workers, alike", 12, 1.0, alike, 0.1),
    Shape("32 workers, heavy tail", 32, 4.0, heavy),
    # one request more or less is a third of the throughput: too coarse to keep the bound
    Shape("4 workers, alike", 4, 0.3, alike),
)
