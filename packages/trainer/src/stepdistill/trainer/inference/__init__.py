"""The student at work: answers to new rows, and how it compares with its teacher."""
