"""A tournament: teachers, efforts, tiers and templates at their prices, on the same rows"""
