"""`python -m stepdistill.trainer` does what `stepdistill` does."""

from stepdistill.trainer.main import console_script

if __name__ == "__main__":
    console_script()
