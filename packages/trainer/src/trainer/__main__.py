"""`python -m trainer` does what `python packages/trainer/train.py` does."""

from trainer.main import main

if __name__ == "__main__":
    raise SystemExit(main())
