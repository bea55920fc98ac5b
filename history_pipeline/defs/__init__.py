"""The pipeline as Dagster sees it: assets, checks, jobs, schedules. The only room that knows
Dagster."""
