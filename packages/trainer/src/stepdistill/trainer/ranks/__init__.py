"""The processes of one training: which of them this is, how they meet, and who is lost"""
