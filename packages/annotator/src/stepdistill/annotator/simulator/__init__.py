"""A teacher that speaks the OpenAI chat protocol on a loopback port, for dry runs and tests."""
