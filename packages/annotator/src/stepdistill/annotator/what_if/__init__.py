"""What if: what other votes, templates, mixes, rates and sizes would have come to"""
