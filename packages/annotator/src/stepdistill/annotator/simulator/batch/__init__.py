"""The Files and Batches endpoints of the simulated teacher."""
