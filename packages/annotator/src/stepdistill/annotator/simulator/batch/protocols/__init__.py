"""The batches of other providers than OpenAI, as the simulated teacher has them."""
