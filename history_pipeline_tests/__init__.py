"""Tests of the pipeline; the folders mirror its rooms."""
