"""Studies of prompts: experiments, what they showed, and races that end early."""
