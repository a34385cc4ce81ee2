"""Train a student: `deepspeed packages/trainer/train.py --help`, or `python` in its place."""

from stepdistill.trainer.main import main

if __name__ == "__main__":
    raise SystemExit(main())
