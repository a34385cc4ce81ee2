"""Rationales: what they do for a student, and which of a row's are worth learning from"""
