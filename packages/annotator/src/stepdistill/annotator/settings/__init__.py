"""Settings: every option of the command line once, on the field that holds it."""
