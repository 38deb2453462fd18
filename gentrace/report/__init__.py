"""Answers as text for people and as objects for programs; both hold the same content."""
