"""Settings: every option once, on the field that holds it; the table of tasks."""
